"""A run on one page: what it scores, where it fails, how sure it may be, what it cost, what it was trained on, how to
call it."""

from __future__ import annotations

import shutil
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape

from train.common.files import write_json
from train.corpus.page import Page
from train.evaluation.metrics import COSTS, KEY_METRICS, TOPIC_METRICS, Evaluation
from train.evaluation.slices import Predictions, Slice, predictions_of, site_slices, slices
from train.inference.explain import Explainer
from train.reports.error_browser import errors_of, write_error_browser
from train.reports.figures import Drawing, reliability
from train.reports.html import write_page
from train.reports.page_view import View, view_of, write_view
from train.reports.run_figures import (
    confusion_figure,
    coverage_figure,
    precision_recall_figure,
    slices_figure,
    training_figures,
)
from train.reports.terminal import framed

SHOWN_SITES = 30
SHOWN_VIEWS = 12


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """What a report is made of.

    Args:
        title: The run's name and the model's version.
        about: Name -> value of what identifies the run: family, run, commit, hashes; what is None is left out.
        parts: Part of the split -> its pages.
        records: `predict`'s records of the test pages, in the same order.
        report: The scores of these records.
        certainty: What `calibration.json` holds: `calibration`, and reliability of `validation` and `test`, each
            `before` and `after` calibration.
        metrics: The run's metrics, under their names in MLflow.
        steps: Step metric -> `(step, value)`.
        explainer: Tells what decided a segment; None where the model cannot say.
        samples: The number of bootstrap resamples of sites.
        seed: The seed of the resampling.
    """

    title: str
    about: Mapping[str, str | None]
    parts: Mapping[str, Sequence[Page]]
    records: Sequence[Mapping[str, Any]]
    report: Evaluation
    certainty: Mapping[str, Any]
    metrics: Mapping[str, float]
    steps: Mapping[str, Sequence[tuple[int, float]]]
    explainer: Explainer | None
    samples: int
    seed: int

    @property
    def pages(self) -> Sequence[Page]:
        """The test pages."""
        return self.parts["test"]


def write_run_report(folder: Path, data: ReportData) -> tuple[list[Path], list[dict[str, Any]]]:
    """Writes `report.html`, `errors.html`, `pages.html`, `slices.json` and `figures/*.svg`.

    Args:
        folder: The folder of the run.
        data: What the report is made of.

    Returns:
        The files, and the errors as `errors_of` gives them, the most confident first.
    """
    answers = predictions_of(data.pages, data.records)
    scored = slices(data.pages, answers, samples=data.samples, confidence=data.report.confidence, seed=data.seed)
    sites = site_slices(answers)
    errors = errors_of(data.pages, data.records, answers)
    drawings = _drawings(data, answers, scored, sites)
    shutil.rmtree(folder / "figures", ignore_errors=True)
    for name, drawing in drawings.items():
        drawing.write(folder / "figures" / f"{name}.svg")
    write_json(
        folder / "slices.json", {"slices": [one.to_json() for one in scored], "sites": [one.to_json() for one in sites]}
    )
    write_error_browser(
        folder / "errors.html", errors, data.pages, data.records, data.explainer, scored=len(answers.gold)
    )
    write_view(folder / "pages.html", "Test pages", _views(data, sites), note=_NOTE)
    _write_report(folder / "report.html", data, scored, len(errors), drawings)
    files = ["report.html", "errors.html", "pages.html", "slices.json"]
    return [folder / name for name in (*files, *(f"figures/{name}.svg" for name in drawings))], errors


_NOTE = (
    f"A page of each of the sites with the lowest scores, {SHOWN_VIEWS} at most, the lowest first. Point at a "
    "segment, or reach it with Tab, for its scores."
)


def _drawings(
    data: ReportData, answers: Predictions, scored: Sequence[Slice], sites: Sequence[Slice]
) -> dict[str, Drawing]:
    whole = data.report.values["role/macro_f1"]
    curves = {
        part: {name: data.certainty[part][name]["bins"] for name in ("before", "after")}
        for part in ("validation", "test")
    }
    many = f" ({SHOWN_SITES} of {len(sites)})" if len(sites) > SHOWN_SITES else ""
    drawings = {
        "confusion": confusion_figure(answers),
        "precision-recall": precision_recall_figure(answers),
        "sites": slices_figure(sites[:SHOWN_SITES], f"Sites, the worst first{many}", whole),
        "reliability": reliability(curves["test"], "Share that is right, by confidence (test)"),
        "reliability-validation": reliability(curves["validation"], "The same on validation pages"),
        "coverage": coverage_figure(data.certainty["test"]["after"]["coverage"]),
    }
    for dimension in dict.fromkeys(one.dimension for one in scored):
        own = [one for one in scored if one.dimension == dimension]
        drawings[_file_name("slice", dimension, drawings)] = slices_figure(own, f"By {dimension}", whole)
    for metric, drawing in training_figures(data.steps).items():
        drawings[_file_name("training", metric.removeprefix("train/"), drawings)] = drawing
    return drawings


def _file_name(kind: str, name: str, taken: Container[str]) -> str:
    """A name for a file: letters and digits of the name, and another one than those taken."""
    slug = f"{kind}-{''.join(c if c.isalnum() and c.isascii() else '-' for c in name)}"
    while slug in taken:
        slug += "-"
    return slug


def _write_report(
    path: Path, data: ReportData, scored: Sequence[Slice], errors: int, drawings: Mapping[str, Drawing]
) -> None:
    test, calibration = data.certainty["test"], data.certainty["calibration"]
    thresholds = calibration["thresholds"].items()
    write_page(
        path,
        data.title,
        template="report.html",
        summary=one_line(data.report, data.metrics),
        report=data.report,
        scores=_scores(data.report),
        errors=errors,
        few=[f"{one.dimension}: {one.value}" for one in scored if one.few],
        lean=_lean(test["after"]["bins"]),
        surest_half=test["after"]["coverage"].get("50%"),
        sure=[[f"{name} temperature", test[name]["ece"], test[name]["brier"]] for name in ("before", "after")],
        chosen=[
            *([f"{head} temperature", calibration[f"{head}_temperature"]] for head in ("role", "topic")),
            *([f"unsure below, {role}", "always unsure" if value is None else value] for role, value in thresholds),
        ],
        costs=[[name, cost(data.metrics[metric])] for metric, name in COSTS.items() if metric in data.metrics],
        data=[
            [part, len(pages), len({page.site for page in pages}), sum(len(page.segments) for page in pages)]
            for part, pages in data.parts.items()
        ],
        about=[[name, value] for name, value in data.about.items() if value],
        output=data.about.get("output") or "OUTPUT",
        drawings=lambda *kinds: [drawing for name, drawing in drawings.items() if name.startswith(kinds)],
    )


def _scores(report: Evaluation) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for metric, name in {**KEY_METRICS, "role/f1/boilerplate": "boilerplate", **TOPIC_METRICS}.items():
        if metric in report.values:
            low, high = report.intervals.get(metric, (None, None))
            rows.append([name, report.values[metric], "" if low is None else f"{low:.3f} to {high:.3f}"])
    return rows


def _lean(bins: Sequence[tuple[float, float, int]]) -> float:
    """How far the mean confidence lies above the share that is right, of bins `(confidence, accuracy, segments)`."""
    total = max(1, sum(n for *_, n in bins))
    return sum(n * (confidence - right) for confidence, right, n in bins) / total


def cost(value: float | None) -> str:
    """What something cost, as a table shows it."""
    return "-" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def one_line(report: Evaluation, metrics: Mapping[str, float]) -> str:
    """A run's result in a sentence.

    Args:
        report: The test scores.
        metrics: The run's metrics, for what it cost.
    """
    low, high = report.intervals.get("role/macro_f1", (None, None))
    between = "" if low is None else f" ({low:.3f} to {high:.3f})"
    training = f"; {metrics['cost/train_s']:,.0f} s of training" if "cost/train_s" in metrics else ""
    speed = f", {metrics['cost/segments_per_s']:,.0f} segments/s" if "cost/segments_per_s" in metrics else ""
    macro_f1, sites = report.values["role/macro_f1"], report.n_sites
    return f"Role macro-F1 {macro_f1:.3f}{between} on {sites:,} unseen sites{training}{speed}."


def _views(data: ReportData, sites: Sequence[Slice]) -> list[View]:
    first: dict[str, tuple[Page, Mapping[str, Any]]] = {}
    for page, record in zip(data.pages, data.records, strict=True):
        first.setdefault(page.site, (page, record))
    return [view_of(record, page, data.explainer) for page, record in (first[one.value] for one in sites[:SHOWN_VIEWS])]


def scores_view(title: str, whole: Evaluation, by_slice: Mapping[str, Evaluation]) -> RenderableType:
    """Scores over all pages with their intervals, and the main ones of each slice, the largest first.

    Args:
        title: Stands above the table.
        whole: The scores over all pages.
        by_slice: Slice -> scores over its pages; empty for none.
    """
    table = framed(title, "score", "value", "95 % interval over sites")
    for metric, value in whole.values.items():
        low, high = whole.intervals.get(metric, (value, value))
        absent = metric.removeprefix("role/f1/") in whole.absent
        table.add_row(metric, f"{value:.4f}", "absent: no label, no prediction" if absent else f"{low:.3f}-{high:.3f}")
    if not by_slice:
        return table
    shown = {name: heading for name, heading in KEY_METRICS.items() if name in whole.values}
    shown = shown or {name: name for name in whole.values if name.endswith(("/macro_f1", "/accuracy"))}
    below = framed("By slice", "slice", "pages", "sites", *shown.values())
    for name, part in sorted(by_slice.items(), key=lambda item: (-item[1].n_pages, item[0])):
        told = {name for name in part.values if name.removeprefix("role/f1/") not in part.absent}
        scores = (f"{part.values[metric]:.3f}" if metric in told else "-" for metric in shown)
        below.add_row(escape(name), f"{part.n_pages:,}", f"{part.n_sites:,}", *scores)
    return Group(table, below)

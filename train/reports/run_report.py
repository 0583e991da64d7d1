"""A run on one page: what it scores, where it fails, how sure it may be, what it cost, what it was trained on, how to
call it."""

from __future__ import annotations

import shutil
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.common.files import write_json
from train.corpus.page import Page
from train.evaluation.metrics import COSTS, KEY_METRICS, TOPIC_METRICS, Evaluation
from train.evaluation.slices import Answers, Slice, answers_of, site_slices, slices
from train.inference.explain import Explainer
from train.reports.error_browser import errors_of, write_error_browser
from train.reports.figures import Drawing, gallery, reliability
from train.reports.html import escape, table, write_page
from train.reports.page_view import View, view_of, write_view
from train.reports.run_figures import (
    confusion_figure,
    coverage_figure,
    precision_recall_figure,
    slices_figure,
    training_figures,
)

SHOWN_SITES = 30
SHOWN_VIEWS = 12


@dataclass(frozen=True)
class Told:
    """What a report is made of.

    Args:
        title: What the run is called.
        about: Name -> value of what identifies it: family, run, commit, hashes; what is None is left out.
        parts: Pages of each part.
        records: `predict`'s answers to the test pages, in the same order.
        report: Their scores.
        certainty: As in `calibration.json`.
        metrics: The run's.
        steps: Step metric -> `(step, value)`.
        explainer: Of the model, when it has one.
        samples: Bootstrap resamples of sites.
        seed: Of the resampling.
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


def write_run_report(folder: Path, told: Told) -> tuple[list[Path], list[dict[str, Any]]]:
    """Writes `report.html`, `errors.html`, `pages.html`, `slices.json` and `figures/*.svg`.

    Returns:
        The files, and the errors as `errors_of` finds them, the most confident first.
    """
    answers = answers_of(told.pages, told.records)
    found = slices(told.pages, answers, samples=told.samples, confidence=told.report.confidence, seed=told.seed)
    sites = site_slices(answers)
    errors = errors_of(told.pages, told.records, answers)
    drawings = _drawings(told, answers, found, sites)
    shutil.rmtree(folder / "figures", ignore_errors=True)
    for name, drawing in drawings.items():
        drawing.write(folder / "figures" / f"{name}.svg")
    write_json(
        folder / "slices.json", {"slices": [one.to_json() for one in found], "sites": [one.to_json() for one in sites]}
    )
    write_error_browser(
        folder / "errors.html", errors, told.pages, told.records, told.explainer, scored=len(answers.gold)
    )
    write_view(folder / "pages.html", "Test pages", _views(told, sites), note=_NOTE)
    write_page(folder / "report.html", told.title, _sections(told, found, sites, len(errors), drawings))
    files = ["report.html", "errors.html", "pages.html", "slices.json"]
    return [folder / name for name in (*files, *(f"figures/{name}.svg" for name in drawings))], errors


_NOTE = (
    f"A page of each of the sites with the lowest scores, {SHOWN_VIEWS} at most, the lowest first. Point at a "
    "segment, or reach it with Tab, for its scores."
)


def _drawings(told: Told, answers: Answers, found: Sequence[Slice], sites: Sequence[Slice]) -> dict[str, Drawing]:
    whole = told.report.values["role/macro_f1"]
    curves = {
        part: {name: told.certainty[part][name]["bins"] for name in ("before", "after")}
        for part in ("validation", "test")
    }
    drawings = {
        "confusion": confusion_figure(answers),
        "precision-recall": precision_recall_figure(answers),
        "sites": slices_figure(
            sites[:SHOWN_SITES],
            f"Sites, the worst first{'' if len(sites) <= SHOWN_SITES else f' ({SHOWN_SITES} of {len(sites)})'}",
            whole,
        ),
        "reliability": reliability(curves["test"], "Share that is right, by confidence (test)"),
        "reliability-validation": reliability(curves["validation"], "The same on validation pages"),
        "coverage": coverage_figure(told.certainty["test"]["after"]["coverage"]),
    }
    for dimension in dict.fromkeys(one.dimension for one in found):
        own = [one for one in found if one.dimension == dimension]
        drawings[_file_name("slice", dimension, drawings)] = slices_figure(own, f"By {dimension}", whole)
    for metric, drawing in training_figures(told.steps).items():
        drawings[_file_name("training", metric.removeprefix("train/"), drawings)] = drawing
    return drawings


def _file_name(kind: str, name: str, taken: Container[str]) -> str:
    """A name for a file: letters and digits of the name, and another one than those taken."""
    slug = f"{kind}-{''.join(c if c.isalnum() and c.isascii() else '-' for c in name)}"
    while slug in taken:
        slug += "-"
    return slug


def _sections(
    told: Told, found: Sequence[Slice], sites: Sequence[Slice], errors: int, drawings: Mapping[str, Drawing]
) -> list[str]:
    def some(*prefixes: str) -> str:
        return gallery(*(drawing for name, drawing in drawings.items() if name.startswith(prefixes)))

    report, test, calibration = told.report, told.certainty["test"], told.certainty["calibration"]
    few = [f"{one.dimension}: {one.value}" for one in found if one.few]
    sure = [[f"{name} temperature", test[name]["ece"], test[name]["brier"]] for name in ("before", "after")]
    settings = [
        ["role temperature", calibration["role_temperature"]],
        ["topic temperature", calibration["topic_temperature"]],
    ]
    settings += [
        [f"unsure below, {role}", value if value <= 1 else "always unsure"]
        for role, value in calibration["thresholds"].items()
    ]
    data = [
        [part, len(pages), len({page.site for page in pages}), sum(len(page.segments) for page in pages)]
        for part, pages in told.parts.items()
    ]
    return [
        f"<p>{escape(one_line(report, told.metrics))}</p>",
        f"<h2>Scores on unseen sites</h2><p>{report.n_pages:,} test pages of {report.n_sites:,} sites; "
        f"{report.confidence:.0%} interval over sites.</p>",
        table(["", "score", "interval"], _scores(report)),
        some("confusion", "precision-recall"),
        f"<h2>Where it fails</h2><p>{errors:,} segments of three words or more are not read as labelled: "
        "<code>errors.html</code> shows each among its neighbours, <code>pages.html</code> whole pages.",
        "Dots are macro-F1 over the roles a slice has, lines its interval over sites; hollow: fewer than five sites "
        "(a site of fewer than 30 segments), which tell little"
        + (f" ({escape(', '.join(few))})" if few else "")
        + ". The dashed line is the score of all.</p>",
        some("sites", "slice-"),
        f"<h2>How sure it may be</h2><p>{escape(_sureness(test))}</p>",
        some("reliability", "coverage"),
        table(["", "ECE", "Brier"], sure),
        table(["chosen on validation pages", ""], settings),
        "<h2>What it cost</h2>",
        table(
            ["", ""], [[name, cost(told.metrics[metric])] for metric, name in COSTS.items() if metric in told.metrics]
        ),
        some("training"),
        "<h2>What it was trained on</h2>",
        table(["part", "pages", "sites", "segments"], data),
        table(["", ""], [[name, value] for name, value in told.about.items() if value]),
        "<h2>How to call it</h2><p>From a shell, in this repository; <code>MODEL_CARD.md</code> has the Python call "
        "and the service's.</p>",
        f"<pre><code>{escape(_call(told))}</code></pre>",
    ]


def _scores(report: Evaluation) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for metric, name in {**KEY_METRICS, "role/f1/boilerplate": "boilerplate", **TOPIC_METRICS}.items():
        if metric in report.values:
            low, high = report.intervals.get(metric, (None, None))
            rows.append([name, report.values[metric], "" if low is None else f"{low:.3f} to {high:.3f}"])
    return rows


def cost(value: float | None) -> str:
    """What something cost, as a table tells it."""
    return "-" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def one_line(report: Evaluation, metrics: Mapping[str, float]) -> str:
    """A run's result in a sentence."""
    low, high = report.intervals.get("role/macro_f1", (None, None))
    between = "" if low is None else f" ({low:.3f} to {high:.3f})"
    training = f"; {metrics['cost/train_s']:,.0f} s of training" if "cost/train_s" in metrics else ""
    speed = f", {metrics['cost/segments_per_s']:,.0f} segments/s" if "cost/segments_per_s" in metrics else ""
    return (
        f"Role macro-F1 {report.values['role/macro_f1']:.3f}{between} on {report.n_sites:,} unseen "
        f"sites{training}{speed}."
    )


def _sureness(test: Mapping[str, Any]) -> str:
    after = test["after"]
    bins = [(confidence, right, n) for confidence, right, n in after["bins"]]
    total = max(1, sum(n for *_, n in bins))
    lean = sum(n * (confidence - right) for confidence, right, n in bins) / total
    word = "overconfident" if lean > 0 else "underconfident"
    half = after["coverage"].get("50%")
    told = (
        f"On average its confidence is {abs(lean):.1%} {'above' if lean > 0 else 'below'} the share that is right: "
        f"it is {word if abs(lean) >= 0.005 else 'neither over- nor underconfident'}."
    )
    return told + (f" The surest half is right in {half:.1%} of cases." if half is not None else "")


def _call(told: Told) -> str:
    output = told.about.get("output") or "OUTPUT"
    return (
        f"python -m train predict --model {output} page.txt\npython -m train show --model {output} page.txt --html "
        f"page.html\nmake export MODEL={output}"
    )


def _views(told: Told, sites: Sequence[Slice]) -> list[View]:
    first: dict[str, tuple[Page, Mapping[str, Any]]] = {}
    for page, record in zip(told.pages, told.records, strict=True):
        first.setdefault(page.site, (page, record))
    return [view_of(record, page, told.explainer) for page, record in (first[one.value] for one in sites[:SHOWN_VIEWS])]

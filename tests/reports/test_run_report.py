from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.answers import answered
from tests.helpers.configs import ConfigMaker
from tests.helpers.figures import figures as drawing
from tests.helpers.html_tags import EVIL, tags_of, told_by
from tests.helpers.pages import make_page
from train.corpus.page import Page
from train.evaluation.metrics import evaluate
from train.evaluation.reliability import reliability
from train.evaluation.slices import predictions_of, site_slices
from train.reports import run_report
from train.reports.error_browser import errors_of, write_error_browser
from train.reports.page_view import View, write_view
from train.reports.run_figures import training_figures
from train.reports.run_report import ReportData, write_run_report
from train.training.recipe import fit


@pytest.mark.parametrize("name", ["pages-baseline", pytest.param("pages-encoder", marks=pytest.mark.slow)])
def test_both_families_leave_the_same_pages_and_figures(request: pytest.FixtureRequest, name: str) -> None:
    if name == "pages-baseline":
        output: Path = request.getfixturevalue("baseline")
    else:
        make_config: ConfigMaker = request.getfixturevalue("make_config")
        output = fit(make_config(name, "encoder.patience=0")).output
    report = (output / "report.html").read_text(encoding="utf-8")
    for heading in (
        "Scores on unseen sites",
        "Where it fails",
        "How sure it may be",
        "What it cost",
        "What it was trained on",
        "How to call it",
    ):
        assert f"<h2>{heading}" in report
    figures = {path.stem for path in (output / "figures").iterdir()}
    assert figures >= {
        "confusion",
        "precision-recall",
        "sites",
        "reliability",
        "reliability-validation",
        "coverage",
        "slice-length",
        "slice-place",
        *(["training-loss"] if name == "pages-encoder" else []),
    }
    assert report.count("<svg") == len(figures)
    for path in (output / "figures").iterdir():
        root = ElementTree.parse(path).getroot()
        assert len(root.attrib["aria-label"]) > 20, f"{path.name} tells in words what it shows"
    told = json.loads((output / "slices.json").read_text())
    assert {"dimension", "value", "segments", "pages", "sites", "macro_f1", "low", "high", "few"} <= set(
        told["slices"][0]
    )
    steps = {line for text in (output / "steps.jsonl").read_text().splitlines() for line in json.loads(text)}
    expected = (
        {"train/segments", "train/features", "train/iterations"}
        if name == "pages-baseline"
        else {"train/loss", "train/learning_rate", "train/segments_per_second", "train/validation_macro_f1"}
    )
    assert expected <= steps


def _data(parts: dict[str, list[Page]], records: list[dict[str, Any]], certainty: dict[str, Any]) -> ReportData:
    """A run without a name, a cost or an explainer."""
    return ReportData(
        title="t",
        about={},
        parts=parts,
        records=records,
        report=evaluate(parts["test"], records, bootstrap_samples=0),
        certainty=certainty,
        metrics={},
        steps={},
        explainer=None,
        samples=20,
        seed=0,
    )


@pytest.mark.parametrize("case", ["no related", "one page", "short", "sure of an absent role", "odd keys"])
def test_odd_test_parts_leave_a_report_too(case: str, pages: list[Page], tmp_path: Path) -> None:
    some = pages[:6]
    if case in ("no related", "sure of an absent role"):
        some = [page.with_segments(tuple(s for s in page.segments if s.role != "related")) for page in some]
    elif case == "one page":
        some = pages[:1]
    elif case == "short":
        some = [page.with_segments(tuple(replace(s, text="a b") for s in page.segments)) for page in some]
    elif case == "odd keys":
        odd = {
            "k" * 300: "a",
            "a b": 1,
            "a-b": 2,
            "language": "x",
            "html": "<p>" * 10_000,
            "list": ["a"],
            "empty": None,
        }
        some = [replace(page, extra={} if i % 2 else odd) for i, page in enumerate(pages[:12])]
    records = answered(some)
    if case == "sure of an absent role":
        surely = {"main": 0.0, "related": 1.0, "boilerplate": 0.0}
        records[0]["segments"][5] |= {"role": "related", "confidence": 1.0, "scores": surely, "story": 1}
    known = reliability(some, records)
    certainty = {
        "calibration": {"role_temperature": 1.0, "topic_temperature": 1.0, "thresholds": {}},
        **{part: {"before": known, "after": known} for part in ("validation", "test")},
    }
    parts = {"train": some, "validation": some, "test": some}
    files, errors = write_run_report(tmp_path, _data(parts, records, certainty))
    assert all(file.is_file() for file in files)
    assert len({file.name for file in files}) == len(files)
    if case == "odd keys":
        names = {file.stem for file in files}
        assert {"slice-a-b", "slice-a-b-", "slice-language--of-the-corpus-"} <= names
        assert not any("k" * 50 in name or "html" in name or "list" in name for name in names)
        found = json.loads((tmp_path / "slices.json").read_text())["slices"]
        assert {one["value"] for one in found if one["dimension"] == "a b"} == {"1", "none"}
    assert (case == "short") == (not errors)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    evil = []
    for n in range(8):
        page = make_page(f"evil{n}", n)
        segments = tuple(
            replace(s, text=f"{EVIL} {s.text} \ud800", topic=EVIL if s.topic else None) for s in page.segments
        )
        evil.append(
            replace(
                page, page_id=f"{EVIL}{n}", site=f'{EVIL}"{n}', lang=EVIL, url="javascript:alert(1)", segments=segments
            )
        )
    records = answered(evil)
    for record in records:
        for story in record["stories"]:
            story["topic"] = EVIL
    answers = predictions_of(evil, records)
    why = [[(EVIL, 1.0)] for _ in evil[0].segments]
    write_view(tmp_path / "view.html", EVIL, [View(r, p, why) for p, r in zip(evil, records, strict=True)])
    write_error_browser(
        tmp_path / "errors.html", errors_of(evil, records, answers), evil, records, None, scored=len(answers.gold)
    )
    for name, scripts in (("view.html", 0), ("errors.html", 1)):
        tags = tags_of((tmp_path / name).read_text(encoding="utf-8"))
        assert sum(tag == "script" for tag, _ in tags) == scripts
        assert not [tag for tag, _ in tags if tag in ("img", "iframe", "link", "object")]
        assert not [a for _, attributes in tags for a in attributes if a.startswith("on")]
        assert not [a for _, attributes in tags for a in attributes.values() if a and a.startswith("javascript:")]


def test_what_is_learnt_step_by_step_is_drawn_where_there_are_two_steps() -> None:
    points = {"train/loss": [(1, 2.0), (30, 0.5)], "train/once": [(1, 1.0)]}
    found = training_figures(points)
    assert {name: drawing.alternative for name, drawing in found.items()} == {
        "train/loss": "train/loss: from 2 at 1 to 0.5 at 30"
    }


@pytest.mark.parametrize(
    ("bins", "lean", "word"),
    [
        ([(0.9, 0.7, 10), (0.5, 0.5, 10)], "10.0% above", "overconfident"),
        ([(0.6, 0.7, 30), (0.5, 0.5, 10)], "7.5% below", "underconfident"),
        ([(0.6, 0.601, 10)], "0.1% below", "neither over- nor underconfident"),
    ],
)
def test_a_report_says_how_far_confidence_lies_from_what_is_right(
    bins: list[tuple[float, float, int]], lean: str, word: str, pages: list[Page], tmp_path: Path
) -> None:
    some = pages[:6]
    records = answered(some)
    known = reliability(some, records)
    after = {**known, "bins": bins, "coverage": {"50%": 0.875}}
    certainty = {
        "calibration": {
            "role_temperature": 1.0,
            "topic_temperature": 1.0,
            "thresholds": {"main": 0.5, "related": None},
        },
        **{part: {"before": known, "after": after} for part in ("validation", "test")},
    }
    parts = {"train": some, "validation": some, "test": some}
    with drawing(drawn=False):
        write_run_report(tmp_path, _data(parts, records, certainty))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"is {lean} the share that is right: it is {word}. The surest half is right in 87.5% of cases." in text
    cells = told_by(text, "td")
    assert cells[cells.index("unsure below, main") + 1] == "0.500"
    assert cells[cells.index("unsure below, related") + 1] == "always unsure"


def test_a_view_of_a_run_has_a_page_of_each_of_the_worst_sites(
    pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_report, "SHOWN_VIEWS", 3)
    records = answered(pages)
    sites = site_slices(predictions_of(pages, records))
    parts = {"train": [], "validation": [], "test": pages}
    views = run_report._views(_data(parts, records, {}), sites)
    assert [view.record["page_id"] for view in views] == [
        f"{site.value.removesuffix('.example')}-0" for site in sites[:3]
    ]
    assert [view.gold for view in views] == [
        next(page for page in pages if page.site == site.value) for site in sites[:3]
    ]

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.answers import answered
from tests.helpers.commands import train
from tests.helpers.configs import ConfigMaker
from tests.helpers.html_tags import EVIL, tags_of
from tests.helpers.pages import make_page
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.evaluation import evaluate
from train.models.calibrating import reliability
from train.recipe import fit
from train.reports.error_browser import errors_of, write_error_browser
from train.reports.page_view import View, page_html, write_view
from train.reports.run_report import Told, write_run_report
from train.slices import answers_of


@pytest.mark.parametrize("name", ["pages-baseline", "pages-encoder"])
def test_both_families_leave_the_same_pages_and_figures(make_config: ConfigMaker, name: str) -> None:
    short = ["baseline.max_iterations=5", "evaluation.learning_curve=[0.5]"] if name == "pages-baseline" else ["encoder.patience=0"]
    output = fit(make_config(name, *short)).output
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
        "training-loss" if name == "pages-encoder" else "training-learning-curve-validation-role-macro-f1",
    }
    assert report.count("<svg") == len(figures)
    for path in (output / "figures").iterdir():
        root = ElementTree.parse(path).getroot()
        assert len(root.attrib["aria-label"]) > 20, f"{path.name} tells in words what it shows"
    told = json.loads((output / "slices.json").read_text())
    assert {"dimension", "value", "segments", "pages", "sites", "macro_f1", "low", "high", "few"} <= set(told["slices"][0])
    steps = {line for text in (output / "steps.jsonl").read_text().splitlines() for line in json.loads(text)}
    expected = (
        {"learning_curve/validation/role/macro_f1"}
        if name == "pages-baseline"
        else {"train/loss", "train/learning_rate", "train/tokens_per_second", "train/validation_macro_f1"}
    )
    assert expected <= steps


def test_a_page_is_shown_with_boxes_signs_shades_and_labels(pages: list[Page]) -> None:
    page, record = pages[0], answered(pages)[0]
    record["segments"][0] |= {"role": "main", "story": 0}
    shown = page_html(View(record, page, [[("a feature", 0.5)] for _ in page.segments]))
    tags = tags_of(shown)
    classes = [str(attributes.get("class")) for _, attributes in tags]
    assert sum("seg " in c for c in classes) == len(page.segments)
    assert sum(c.startswith("story role-main") for c in classes) >= 1
    wrong = sum(s.role != a["role"] for s, a in zip(page.segments, record["segments"], strict=True))
    assert sum(" wrong" in c for c in classes) == wrong > 0
    assert f"{wrong} not as labelled" in shown
    assert all(f"--sure: {segment['confidence']:.3f}" in shown for segment in record["segments"])
    assert shown.count("why: a feature") == len(page.segments)
    assert shown.count("█") == sum(s["role"] == "main" for s in record["segments"]), "a sign, not colour alone"
    bare = page_html(View(record))
    assert "labelled" not in bare


def test_errors_are_all_there_the_most_confident_first(pages: list[Page], tmp_path: Path) -> None:
    records = answered(pages)
    answers = answers_of(pages, records)
    errors = errors_of(pages, records, answers)
    assert len(errors) == int((answers.gold != answers.predicted).sum())
    assert [e["confidence"] for e in errors] == sorted((e["confidence"] for e in errors), reverse=True)
    for error in errors:
        page = next(p for p in pages if p.page_id == error["page_id"])
        assert page.segments[error["segment"]].role == error["labelled"] != error["read_as"]
        assert page.segments[error["segment"]].text == error["text"]
    write_error_browser(tmp_path / "errors.html", errors, pages, records, None, scored=len(answers.gold))
    text = (tmp_path / "errors.html").read_text(encoding="utf-8")
    assert text.count('<article class="error"') == len(errors)
    assert text.count(" chosen") >= len(errors)
    assert text.count('class="tag doubt"') == sum(e["doubtful"] for e in errors)


def test_no_error_leaves_a_page_too(pages: list[Page], tmp_path: Path) -> None:
    records = answered(pages, wrong=0.0)
    answers = answers_of(pages, records)
    write_error_browser(tmp_path / "errors.html", errors_of(pages, records, answers), pages, records, None, scored=len(answers.gold))
    assert "0 of " in (tmp_path / "errors.html").read_text()


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
        odd = {"k" * 300: "a", "a b": 1, "a-b": 2, "language": "x", "html": "<p>" * 10_000, "list": ["a"], "empty": None}
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
    told = Told("t", {}, parts, records, evaluate(some, records, bootstrap_samples=0), certainty, {}, {}, None, 20, 0)
    files, errors = write_run_report(tmp_path, told)
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
        segments = tuple(replace(s, text=f"{EVIL} {s.text} \ud800", topic=EVIL if s.topic else None) for s in page.segments)
        evil.append(replace(page, page_id=f"{EVIL}{n}", site=f'{EVIL}"{n}', lang=EVIL, url="javascript:alert(1)", segments=segments))
    records = answered(evil)
    for record in records:
        for story in record["stories"]:
            story["topic"] = EVIL
    answers = answers_of(evil, records)
    why = [[(EVIL, 1.0)] for _ in evil[0].segments]
    write_view(tmp_path / "view.html", EVIL, [View(r, p, why) for p, r in zip(evil, records, strict=True)])
    write_error_browser(tmp_path / "errors.html", errors_of(evil, records, answers), evil, records, None, scored=len(answers.gold))
    for name, scripts in (("view.html", 0), ("errors.html", 1)):
        tags = tags_of((tmp_path / name).read_text(encoding="utf-8"))
        assert sum(tag == "script" for tag, _ in tags) == scripts
        assert not [tag for tag, _ in tags if tag in ("img", "iframe", "link", "object")]
        assert not [a for _, attributes in tags for a in attributes if a.startswith("on")]
        assert not [a for _, attributes in tags for a in attributes.values() if a and a.startswith("javascript:")]


def test_show_writes_a_page_with_labels_beside_answers(make_config: ConfigMaker, pages: list[Page], tmp_path: Path) -> None:
    output = fit(make_config("pages-baseline", "baseline.max_iterations=5", "evaluation.learning_curve=[]")).output
    write_pages(tmp_path / "two.jsonl", pages[:2])
    done = train("show", "--model", str(output), str(tmp_path / "two.jsonl"), "--html", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count('<article class="view">') == 2
    assert "<dt>labelled</dt>" in text
    assert "why: " in text
    (tmp_path / "own.txt").write_text("A headline\nThe first paragraph of a story\n", encoding="utf-8")
    done = train("show", "--model", str(output), str(tmp_path / "own.txt"), "--html", str(tmp_path / "own.html"))
    assert "<dt>labelled</dt>" not in (tmp_path / "own.html").read_text(encoding="utf-8")

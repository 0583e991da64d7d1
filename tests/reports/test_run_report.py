from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers.answers import answered
from tests.helpers.commands import train
from tests.helpers.configs import ConfigMaker, shrunk
from tests.helpers.figures import figures as drawing
from tests.helpers.html_tags import EVIL, after_each, tags_of, told_by
from tests.helpers.pages import make_page
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.evaluation.metrics import evaluate
from train.evaluation.reliability import reliability
from train.evaluation.slices import predictions_of, site_slices
from train.reports import error_browser, page_view, run_report
from train.reports.error_browser import errors_of, write_error_browser
from train.reports.html import fragment
from train.reports.page_view import View, write_view
from train.reports.run_figures import training_figures
from train.reports.run_report import ReportData, write_run_report
from train.runtime.text import ROLES
from train.training.recipe import fit


@pytest.fixture(scope="module")
def baseline(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report."""
    short = ["baseline.max_iterations=5", "baseline.stacking_neighbours=0"]
    return fit(shrunk("pages-baseline", corpus, corpus, tmp_path_factory.mktemp("reported"), *short)).output


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


def test_a_page_is_shown_with_boxes_signs_shades_and_labels(pages: list[Page]) -> None:
    page, record = pages[0], answered(pages)[0]
    record["segments"][0] |= {"role": "main", "story": 0}
    shown = fragment("page", View(record, page, [[("a feature", 0.5)] for _ in page.segments]), of="view.html")
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
    bare = fragment("page", View(record), of="view.html")
    assert "labelled" not in bare


def test_errors_are_all_there_the_most_confident_first(pages: list[Page]) -> None:
    records = answered(pages)
    errors = errors_of(pages, records, predictions_of(pages, records))
    wrong = {
        (page.page_id, i)
        for page, record in zip(pages, records, strict=True)
        for i, (s, a) in enumerate(zip(page.segments, record["segments"], strict=True))
        if s.role != a["role"] and len(s.text.split()) >= 3
    }
    assert {(e["page_id"], e["segment"]) for e in errors} == wrong
    assert len(errors) == len(wrong)
    assert [e["confidence"] for e in errors] == sorted((e["confidence"] for e in errors), reverse=True)
    by_id = {page.page_id: (page, record) for page, record in zip(pages, records, strict=True)}
    for error in errors:
        page, record = by_id[error["page_id"]]
        segment, answer = page.segments[error["segment"]], record["segments"][error["segment"]]
        assert (error["site"], error["text"], error["labelled"]) == (page.site, segment.text, segment.role)
        assert (error["read_as"], error["confidence"]) == (answer["role"], round(answer["confidence"], 4))


def test_a_label_that_confident_learning_doubts_is_marked_on_its_segment_alone(
    pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    records = answered(pages)
    answers = predictions_of(pages, records)
    every = [(e["page_id"], e["segment"]) for e in errors_of(pages, records, answers)]
    doubted = set(every[::5])
    monkeypatch.setattr(
        error_browser, "label_errors", lambda *_: [SimpleNamespace(page_id=p, segment=i) for p, i in doubted]
    )
    assert {(e["page_id"], e["segment"]) for e in errors_of(pages, records, answers) if e["doubtful"]} == doubted


def _sites(pages: list[Page]) -> list[Page]:
    """The pages, their sites called by what would be code where it was not escaped."""
    return [
        replace(page, site=f'{page.site}" onmouseover="y' if i % 2 else f"<i>{page.site}")
        for i, page in enumerate(pages)
    ]


@pytest.fixture
def browsed(pages: list[Page], tmp_path: Path) -> tuple[list[dict[str, Any]], str]:
    """Errors, and the page that shows them."""
    given = _sites(pages)
    records = answered(given)
    answers = predictions_of(given, records)
    errors = errors_of(given, records, answers)
    for i, error in enumerate(errors):
        error["doubtful"] = i % 3 == 0
    write_error_browser(tmp_path / "errors.html", errors, given, records, None, scored=len(answers.gold))
    return errors, (tmp_path / "errors.html").read_text(encoding="utf-8")


def test_every_error_says_to_the_filters_what_it_is(browsed: tuple[list[dict[str, Any]], str]) -> None:
    errors, text = browsed
    told = [
        {k: v for k, v in attributes.items() if k.startswith("data-")}
        for tag, attributes in tags_of(text)
        if tag == "article"
    ]
    assert told == [
        {
            "data-pair": f"{e['labelled']} read as {e['read_as']}",
            "data-site": e["site"],
            "data-sure": f"{e['confidence']:.4f}",
            "data-doubt": "1" if e["doubtful"] else "0",
            "data-slices": "\n".join(
                f"{name.removeprefix('slice: ')}: {value}" for name, value in e.items() if name.startswith("slice: ")
            ),
        }
        for e in errors
    ]
    assert text.count('class="tag doubt"') == sum(e["doubtful"] for e in errors)


def test_the_policy_lets_our_own_script_run_and_no_other(browsed: tuple[list[dict[str, Any]], str]) -> None:
    _, text = browsed
    script = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    policy = next(str(a["content"]) for tag, a in tags_of(text) if tag == "meta" and "http-equiv" in a)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    assert len(script) == 1


def test_every_choice_of_a_filter_says_how_many_errors_it_leaves(browsed: tuple[list[dict[str, Any]], str]) -> None:
    errors, text = browsed
    values = [attributes["value"] for tag, attributes in tags_of(text) if tag == "option"]
    labels = told_by(text, "option")
    pairs = Counter(f"{e['labelled']} read as {e['read_as']}" for e in errors)
    sites = Counter(e["site"] for e in errors)
    slices = Counter(
        f"{name.removeprefix('slice: ')}: {value}"
        for e in errors
        for name, value in e.items()
        if name.startswith("slice: ")
    )
    assert dict(zip(values, labels, strict=True)) == {
        "": "all",
        **{value: f"{value} ({n:,})" for value, n in (pairs + sites + slices).items()},
    }
    assert values.count("") == 3
    for known in (pairs, sites):
        numbers = [known[str(value)] for value in values if value in known]
        assert numbers == sorted(numbers, reverse=True), "the most frequent first"


def test_an_error_stands_among_its_neighbours(browsed: tuple[list[dict[str, Any]], str], pages: list[Page]) -> None:
    errors, text = browsed
    by_id = {page.page_id: page for page in pages}
    for error, tags in zip(errors, after_each(text, "article"), strict=True):
        classes = [
            str(attributes["class"])
            for tag, attributes in tags
            if tag == "div" and "seg " in str(attributes.get("class"))
        ]
        i, n = error["segment"], len(by_id[error["page_id"]].segments)
        assert len(classes) == min(n, i + 4) - max(0, i - 3), "three to each side, as far as the page goes"
        assert ["chosen" in c for c in classes] == [k == min(i, 3) for k in range(len(classes))]
        assert "wrong" in classes[min(i, 3)]


def test_of_many_errors_the_surest_are_shown_and_all_are_counted(
    pages: list[Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_browser, "MOST", 7)
    records = answered(pages)
    answers = predictions_of(pages, records)
    errors = errors_of(pages, records, answers)
    write_error_browser(tmp_path / "errors.html", errors, pages, records, None, scored=len(answers.gold))
    text = (tmp_path / "errors.html").read_text(encoding="utf-8")
    sure = [attributes["data-sure"] for tag, attributes in tags_of(text) if tag == "article"]
    assert sure == [f"{e['confidence']:.4f}" for e in errors[:7]]
    assert f"{len(errors):,} of {len(answers.gold):,} segments of {len({e['page_id'] for e in errors})} pages" in text
    assert "the first 7 are shown" in text
    assert f"In {sum(e['doubtful'] for e in errors)} the model" in text


def _story(number: int, topic: str | None) -> dict[str, Any]:
    return {"story": number, "role": "related" if number else "main", "topic": topic, "confidence": 0.7, "segments": []}


def test_stories_are_boxed_named_once_and_go_on_behind_what_stands_between(pages: list[Page]) -> None:
    numbers = [None, 0, 0, None, 1, 2, 0, None]
    base = answered(pages)[0]["segments"][0]
    segments = [{**base, "story": story} for story in numbers]
    record = {
        "page_id": "p",
        "segments": segments,
        "stories": [_story(0, "sport"), _story(1, None), _story(2, "<b>")],
        "model": answered(pages)[0]["model"],
    }
    shown = fragment("page", View(record), of="view.html")
    boxes = [attributes for tag, attributes in tags_of(shown) if tag == "section"]
    names = ["main story · sport 0.70", "related story 1", "related story 2 · <b> 0.70", "main story, continued"]
    assert [box["aria-label"] for box in boxes] == names
    assert [box["class"] for box in boxes] == [
        "story role-main",
        "story role-related",
        "story role-related",
        "story role-main",
    ]
    assert told_by(shown, "h3") == names
    assert "8 segments, 3 stories" in shown


def test_a_tip_tells_the_scores_the_label_and_the_story_of_its_segment(pages: list[Page]) -> None:
    page, record = pages[0], answered(pages)[0]
    place = next(i for i, s in enumerate(page.segments) if s.role == "related")
    view = View(record, page, [[(f"feature {i}", i - 2.0)] for i in range(len(page.segments))])
    tip = fragment("segment", view, place, record["segments"][place], of="view.html")
    answer, gold = record["segments"][place], page.segments[place]
    expected = {
        **{role: f"{answer['scores'][role]:.3f}" for role in ROLES},
        "labelled": f"related, story {gold.story}, {gold.topic}",
    }
    expected |= {} if answer["story"] is None else {"story": str(answer["story"])}
    expected[f"why: feature {place}"] = f"{place - 2.0:+.2f}"
    assert dict(zip(told_by(tip, "dt"), told_by(tip, "dd"), strict=True)) == expected


def test_a_view_shows_so_many_pages_and_says_so(
    pages: list[Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_view, "MOST_PAGES", 3)
    views = [View(record, page) for page, record in zip(pages, answered(pages), strict=True)]
    for n, cut in ((3, False), (4, True)):
        write_view(tmp_path / "view.html", "Pages", views[:n])
        text = (tmp_path / "view.html").read_text(encoding="utf-8")
        assert told_by(text, "h2") == [page.page_id for page in pages[:3]]
        assert ("Only the first 3 pages are shown" in text) == cut


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


def test_show_writes_a_page_with_labels_beside_answers(baseline: Path, pages: list[Page], tmp_path: Path) -> None:
    output = baseline
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

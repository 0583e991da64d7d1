"""`errors.html`: every error among its neighbours, and the filters over them."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.helpers.answers import answered
from tests.helpers.html_tags import after_each, tags_of, told_by
from train.corpus.page import Page
from train.evaluation.slices import predictions_of
from train.reports import error_browser
from train.reports.error_browser import errors_of, write_error_browser


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

"""A page as a reader sees it: boxes of stories, signs of roles, tips, and labels beside answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.answers import answered
from tests.helpers.commands import train
from tests.helpers.html_tags import tags_of, told_by
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.reports import page_view
from train.reports.html import fragment
from train.reports.page_view import View, write_view
from train.runtime.text import ROLES


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

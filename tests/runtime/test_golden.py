"""Golden answers: what may differ between processors, and what may not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, cast

import pytest

from train.runtime import BundleError, golden

RECORD: dict[str, Any] = {
    "page_id": "p",
    "segments": [
        {
            "text": "Bridge reopens",
            "role": "main",
            "confidence": 0.75,
            "scores": {"main": 0.75, "related": 0.25},
            "story": 0,
        },
        {
            "text": "Log in",
            "role": "boilerplate",
            "confidence": 0.5,
            "scores": {"main": 0.5, "related": 0.5},
            "story": None,
        },
    ],
    "stories": [{"story": 0, "role": "main", "topic": "sport", "confidence": 0.5, "segments": [0]}],
}


class Answering:
    """A labeler whose answers are told."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.asked: list[tuple[str, list[str]]] = []

    def label(self, pages: Iterable[tuple[str, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        self.asked = [(name, list(texts)) for name, texts in pages]
        return iter([{**self.record, "model": {"version": "anew"}}])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / golden.FILE).write_text(json.dumps(RECORD) + "\n", encoding="utf-8")
    return tmp_path


def _changed(change: Callable[[dict[str, Any]], None]) -> Any:
    record = deepcopy(RECORD)
    change(record)
    return Answering(record)


def test_the_same_answers_of_another_version_are_no_difference(folder: Path) -> None:
    labeler = Answering(RECORD)
    assert golden.differences(cast(Any, labeler), folder) == []
    assert labeler.asked == [("p", ["Bridge reopens", "Log in"])]


@pytest.mark.parametrize(("by", "told"), [(0.0009, False), (-0.0009, False), (0.0012, True), (-0.0012, True)])
@pytest.mark.parametrize("key", ["confidence", "scores"])
def test_numbers_may_differ_by_a_thousandth(folder: Path, by: float, told: bool, key: str) -> None:
    def change(record: dict[str, Any]) -> None:
        if key == "scores":
            record["segments"][1]["scores"]["related"] += by
        else:
            record["stories"][0]["confidence"] += by

    assert len(golden.differences(_changed(change), folder)) == told


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (
            lambda record: record["segments"][1].update(role="related"),
            "page 'p', segments/1/role: 'related', exported as 'boilerplate'",
        ),
        (lambda record: record["segments"][0].update(story=1), "page 'p', segments/0/story: 1, exported as 0"),
        (
            lambda record: record["stories"][0].update(topic="business"),
            "page 'p', stories/0/topic: 'business', exported as 'sport'",
        ),
        (
            lambda record: record["stories"][0]["segments"].append(1),
            "page 'p', stories/0/segments: [0, 1], exported as [0]",
        ),
        (lambda record: record["stories"].pop(), "page 'p', stories: []"),
        (lambda record: record["segments"][0].update(unsure=True), "page 'p', segments/0: "),
        (
            lambda record: record["segments"][1].update(confidence=None),
            "page 'p', segments/1/confidence: None, exported as 0.5",
        ),
    ],
)
def test_labels_stories_and_topics_must_be_equal(
    folder: Path, change: Callable[[dict[str, Any]], None], where: str
) -> None:
    (line,) = golden.differences(_changed(change), folder)
    assert line.startswith(where)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"page_id": "p"}', None])
def test_golden_pages_that_are_none_are_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / golden.FILE).write_text(content, encoding="utf-8")
    with pytest.raises(BundleError, match="golden"):
        golden.read(tmp_path)

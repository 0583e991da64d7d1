from __future__ import annotations

from train.corpus.page import Page, Segment
from train.corpus.statistics import page_figures, statistics


def _page(*roles: str) -> Page:
    text = {"m": "one two three", "r": "one two", "b": "word"}
    name = {"m": "main", "r": "related", "b": "boilerplate"}
    story = {"m": 0, "b": None}
    segments = [Segment(text[role], name[role], story.get(role, i + 1)) for i, role in enumerate(roles)]
    return Page("a", "a.example", tuple(segments))


def test_figures_of_a_page() -> None:
    assert page_figures(_page(*"brbmmbmrrb")) == {
        "segments": 10,
        "boilerplate": 4,
        "long_boilerplate": 0,
        "changes": 7,
        "related": 3,
        "before": 3,
        "after": 3,
        "main": 3,
        "main_runs": 2,
    }


def test_long_boilerplate_is_counted() -> None:
    page = Page("a", "a.example", (Segment("word " * 25, "boilerplate"), Segment("word " * 24, "boilerplate")))
    assert page_figures(page)["long_boilerplate"] == 1


def test_pages_without_a_story_have_no_figures_of_one() -> None:
    found = statistics([_page(*"brb"), _page(*"brbmr"), _page(*"m")])
    assert found["no_story"] == [1 - 2 / 3]
    assert found["before"][2] == 1.5
    assert found["related_before"] == [0.5]
    assert found["main_words"] == [3.0] * 5
    assert statistics([])["segments"] == [0.0] * 5

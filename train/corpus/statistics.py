"""What pages of a corpus are like, in figures that two corpora can be compared by."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from train.corpus.page import Page

POINTS = (10, 25, 50, 75, 90)
"""Of a figure's values, in percent."""
LONG_WORDS = 25
"""Boilerplate of so many words can be taken for running text."""
FIGURES = {
    "segments": "segments a page",
    "before": "segments before the main story",
    "after": "segments after it",
    "boilerplate": "boilerplate segments",
    "long_boilerplate": f"boilerplate of {LONG_WORDS} words and more",
    "main": "main segments",
    "main_runs": "runs of main segments",
    "changes": "changes of role",
    "related": "related stories",
    "related_words": "words of a related segment",
    "main_words": "words of a main segment",
}
"""Figure -> what it counts. All but the last two are of a page; those of the story are of pages that have one."""
SHARES = {
    "related_before": "share of related items before the story, mean",
    "no_story": "share of pages without a story",
}
"""Figures of one value."""


def page_figures(page: Page) -> dict[str, int]:
    """The figures of one page; those of a story are absent when it has none."""
    roles = [segment.role for segment in page.segments]
    figures = {
        "segments": len(roles),
        "boilerplate": roles.count("boilerplate"),
        "long_boilerplate": sum(s.role == "boilerplate" and len(s.text.split()) >= LONG_WORDS for s in page.segments),
        "changes": sum(a != b for a, b in pairwise(roles)),
        "related": len({s.story for s in page.segments if s.role == "related"}),
    }
    if "main" in roles:
        figures |= {
            "before": roles.index("main"),
            "after": roles[::-1].index("main"),
            "main": roles.count("main"),
            "main_runs": sum(b == "main" != a for a, b in pairwise([None, *roles])),
        }
    return figures


def statistics(pages: Iterable[Page]) -> dict[str, list[float]]:
    """The points of each figure of a corpus, and the mean share of related items before the story.

    Args:
        pages: Labelled pages.

    Returns:
        Figure of `FIGURES` -> its values at `POINTS`; figure of `SHARES` -> one value.
    """
    values: dict[str, list[float]] = {name: [] for name in FIGURES}
    before: list[float] = []
    count = 0
    for page in pages:
        count += 1
        figures = page_figures(page)
        for name, value in figures.items():
            values[name].append(value)
        for role in ("main", "related"):
            values[f"{role}_words"] += [len(s.text.split()) for s in page.segments if s.role == role]
        related = [i for i, segment in enumerate(page.segments) if segment.role == "related"]
        if related and "before" in figures:
            before.append(sum(i < figures["before"] for i in related) / len(related))
    points = {name: [float(p) for p in np.percentile(found or [0], POINTS)] for name, found in values.items()}
    share = 1 - len(values["before"]) / max(count, 1)
    return {**points, "related_before": [float(np.mean(before or [0]))], "no_story": [share]}

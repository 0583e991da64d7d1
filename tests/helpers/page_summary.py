"""Facts of pages by hand: what a split looks at."""

from __future__ import annotations

import numpy as np

from train.corpus.splits.page_summary import PageSummary
from train.corpus.splits.split import PARTS, Split

STORY = (
    "On Tuesday the council voted to keep the old swimming baths open for another winter, although the boiler is "
    "older than most of those who swim there and nobody could say what a new one would cost the town."
)


def page_fact(page_id: str, site: str, *passages: int, date: str | None = None) -> PageSummary:
    """Facts of a page of two segments that holds these passages."""
    return PageSummary(page_id, site, date, (1, 0, 1), (), np.array(sorted(passages), np.uint64))


def part_sizes(split: Split) -> list[int]:
    """How many pages each part has."""
    return [len(split.parts[part]) for part in PARTS]


def date_of(number: int | None) -> str | None:
    """A date of one month, by its day."""
    return None if number is None else f"2025-03-{number:02d}"

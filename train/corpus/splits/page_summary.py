"""What a split needs to know of a page, and no more: so that a million segments are split without being kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np

from train.corpus.page import Page
from train.corpus.splits.near_duplicates import passages
from train.runtime.text import ROLES


@dataclass(frozen=True, slots=True)
class PageSummary:
    """A page without its text.

    Args:
        page_id: Its id.
        site: Its site.
        date: `YYYY-MM-DD` or None.
        roles: Number of segments of each role, in the order of `ROLES`.
        topics: Topic of each of its stories that has one.
        passages: Names of the passages of its stories (`train.corpus.overlap.passages`).
    """

    page_id: str
    site: str
    date: str | None
    roles: tuple[int, ...]
    topics: tuple[str, ...]
    passages: np.ndarray

    @property
    def segments(self) -> int:
        """Number of segments."""
        return sum(self.roles)


def page_summary(page: Page) -> PageSummary:
    """Looks at one page."""
    roles = [s.role for s in page.segments]
    topics = {s.story: s.topic for s in page.segments if s.story is not None and s.topic is not None}
    counted = tuple(roles.count(role) for role in ROLES)
    return PageSummary(page.page_id, page.site, _date(page.date), counted, tuple(topics.values()), story_passages(page))


def page_summaries(pages: Iterable[Page]) -> Iterator[PageSummary]:
    """Looks at pages one by one."""
    return map(page_summary, pages)


def story_passages(page: Page) -> np.ndarray:
    """Passages of a page's running story text; boilerplate is left out, for many sites rightly share it."""
    by_segment = [passages(s.text) for s in page.segments if s.role in ("main", "related")]
    return np.unique(np.concatenate(by_segment)) if by_segment else np.empty(0, np.uint64)


def _date(text: str | None) -> str | None:
    """The date when it is written `YYYY-MM-DD…`; another way of writing dates does not sort."""
    try:
        return date.fromisoformat((text or "")[:10]).isoformat() if text and text[4:5] == "-" else None
    except ValueError:
        return None

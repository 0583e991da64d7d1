"""Ten pages of two sites, one of which has nine: what is drawn by site and what is drawn by page differ by much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.helpers.answers import record_of
from tests.helpers.pages import make_page
from train.corpus.page import Page
from train.runtime.text import ROLES


def two_sites() -> list[Page]:
    """The page of the small site, and the nine of the large one."""
    return [make_page("small", 0), *(make_page("large", n) for n in range(9))]


def read_as(pages: Sequence[Page], *, right_on: str) -> list[dict[str, Any]]:
    """Records that are right on the sites whose names begin so, and have every role turned on the others."""
    records = []
    for page in pages:
        turn = 0 if page.site.startswith(right_on) else 1
        roles = [ROLES[(ROLES.index(str(segment.role)) + turn) % 3] for segment in page.segments]
        records.append(record_of(page.page_id, page.texts, roles, [0.8] * len(roles)))
    return records


SMALL, LARGE = "small", "large"
SURE = 0.9
"""A level at which the interval over two sites ends where one of them was drawn twice, which a quarter of resamples
does for each."""

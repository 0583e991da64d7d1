"""Training pages recombined from parts of several, so that the network learns to read pages and not to know sites.

A site repeats its menus, headings and order on every page, and a few dozen sites are quickly known by heart. A recombined
page keeps its main story; runs of boilerplate and of related items are exchanged for runs of other pages that stood between
the same neighbours, and now and then the heading above related items is left out.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from train.corpus.page import Page, Segment

EXCHANGED = 0.5
HEADING_DROPPED = 0.5

Run = tuple[Segment, ...]
Place = tuple[str | None, str, str | None]


class Recombiner:
    """Makes recombined pages of a training set.

    Args:
        pages: Labelled training pages.
        seed: The same seed gives the same pages.
    """

    def __init__(self, pages: Sequence[Page], seed: int) -> None:
        self.rng = random.Random(seed)
        self.donors: defaultdict[Place, list[Run]] = defaultdict(list)
        for page in pages:
            for place, run in _runs(page):
                self.donors[place].append(run)

    def page(self, page: Page) -> Page:
        """The page with some of its runs exchanged; related items are numbered anew in page order."""
        segments: list[Segment] = []
        stories = 0
        for place, run in _runs(page):
            before, role, after = place
            chosen = run
            if role != "main" and self.rng.random() < EXCHANGED:
                chosen = self.rng.choice(self.donors[place])
            if role == "boilerplate" and before == "main" and after == "related" and self.rng.random() < HEADING_DROPPED:
                chosen = chosen[:-1]
            if role == "related":
                numbers: dict[int | None, int] = {}
                for segment in chosen:
                    if segment.story is None or segment.story not in numbers:
                        stories += 1
                        numbers[segment.story] = stories
                    segments.append(replace(segment, story=numbers[segment.story]))
            else:
                segments.extend(chosen)
        return page.with_segments(tuple(segments))


def _runs(page: Page) -> list[tuple[Place, Run]]:
    """Maximal runs of one role, each with the roles before and after it."""
    runs = [tuple(run) for _, run in groupby(page.segments, key=lambda s: s.role)]
    roles: list[str | None] = [None, *(run[0].role for run in runs), None]
    return [((roles[i], str(run[0].role), roles[i + 2]), run) for i, run in enumerate(runs)]

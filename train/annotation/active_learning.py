"""Which unlabelled pages to label next: the unsure ones, from many sites."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.common.errors import InputError
from train.common.files import write_text
from train.corpus.read import Corpus
from train.corpus.sources import label_studio
from train.corpus.splits.near_duplicates import passages
from train.runtime import Labeler
from train.runtime.text import word_count

SITE_DISCOUNT = 0.5
"""Each page that was picked of a site halves what another one of it is worth."""
NEAR = 0.5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A page worth labelling.

    Args:
        page_id: The page.
        site: Its site.
        uncertainty: Mean over its segments of 1 - (best - second best role's probability), weighted by words.
    """

    page_id: str
    site: str
    uncertainty: float


def suggest(corpus: str, labeler: Labeler, *, count: int) -> list[Suggestion]:
    """Picks pages that the model is least sure of, spread over sites, without near copies of each other.

    Args:
        corpus: Pages, labelled or not; what is labelled already is passed over.
        labeler: The model.
        count: How many pages.

    Raises:
        InputError: There is no unlabelled page, or the corpus cannot be read.
    """
    passages_of: dict[str, np.ndarray] = {}
    sites: dict[str, str] = {}

    def unlabelled() -> Iterator[tuple[str, list[str]]]:
        for page in Corpus(corpus, labelled=False):
            if page.segments and not page.labelled:
                passages_of[page.page_id] = passages(" ".join(page.texts))
                sites[page.page_id] = page.site
                yield page.page_id, page.texts

    scored = [(record["page_id"], _uncertainty(record)) for record in labeler.label(unlabelled())]
    if not scored:
        raise InputError(
            "no unlabelled page",
            expected="pages without roles",
            remedy="name the corpus of pages to choose from",
            path=corpus,
            rule="empty-corpus",
        )
    return list(_spread([Suggestion(page_id, sites[page_id], value) for page_id, value in scored], passages_of, count))


def _uncertainty(record: Mapping[str, Any]) -> float:
    total = weight = 0.0
    for segment in record["segments"]:
        first, second = sorted(segment["scores"].values(), reverse=True)[:2]
        words = np.sqrt(max(1, word_count(segment["text"])))
        total += words * (1 - (first - second))
        weight += words
    return total / weight


def _spread(candidates: list[Suggestion], passages_of: Mapping[str, np.ndarray], count: int) -> Iterator[Suggestion]:
    picked_of: Counter[str] = Counter()
    taken: set[int] = set()
    by_site: defaultdict[str, list[Suggestion]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda c: (c.uncertainty, c.page_id)):
        by_site[candidate.site].append(candidate)
    waiting = [(-own[-1].uncertainty, site) for site, own in by_site.items()]
    heapq.heapify(waiting)
    while count and waiting:
        _, site = heapq.heappop(waiting)
        best = by_site[site].pop()
        own = passages_of[best.page_id].tolist()
        near = bool(own) and sum(name in taken for name in own) > NEAR * len(own)
        picked_of[site] += not near
        if by_site[site]:
            heapq.heappush(waiting, (-by_site[site][-1].uncertainty * SITE_DISCOUNT ** picked_of[site], site))
        if not near:
            taken.update(own)
            count -= 1
            yield best


def write_suggestions(
    folder: Path, corpus: str, labeler: Labeler, suggestions: Sequence[Suggestion]
) -> tuple[Path, int]:
    """Writes the suggested pages as `tasks.json` and `interface.xml` for Label Studio, the model's predictions as
    pre-annotations.

    Args:
        folder: Where the two files go.
        corpus: The corpus that the pages were picked from: a path or `SOURCE:PATH`.
        labeler: The model that makes the pre-annotations.
        suggestions: The pages to write, in order.

    Returns:
        The tasks' file and their number.
    """
    rank = {s.page_id: i for i, s in enumerate(suggestions)}
    pages = [page for page in Corpus(corpus, labelled=False) if page.page_id in rank]
    pages.sort(key=lambda page: rank[page.page_id])
    records = labeler.label((page.page_id, page.texts) for page in pages)
    tasks = (
        label_studio.task(page, record, uncertainty=round(suggestions[rank[page.page_id]].uncertainty, 4))
        for page, record in zip(pages, records, strict=True)
    )
    count = label_studio.write_tasks(folder / "tasks.json", tasks)
    write_text(folder / "interface.xml", label_studio.interface(labeler.topics))
    return folder / "tasks.json", count

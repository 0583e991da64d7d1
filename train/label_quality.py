"""The loop back to the labelling tool: probable label errors, and the unlabelled pages worth labelling next."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.corpus.overlap import passages
from train.corpus.page import Page
from train.corpus.read import Corpus
from train.corpus.sources import jsonl, label_studio
from train.errors import InputError
from train.files import write_text
from train.runtime import Labeler
from train.runtime.reading import ROLES, word_count

MIN_WORDS = 3
"""As for scores: a menu label of a word or two is not worth an annotator's look."""
CONTEXT = 2
SITE_DISCOUNT = 0.5
"""Each page that was picked of a site halves what another one of it is worth."""
NEAR = 0.5


@dataclass(frozen=True, slots=True)
class LabelError:
    """A segment whose label is probably wrong.

    Args:
        page_id: Its page.
        site: Its site.
        segment: Its index on the page.
        text: What it says.
        given: The role it has.
        suggested: The role that models which have not seen its site give it.
        quality: cleanlab's label quality, 0 (surely wrong) to 1: the out-of-fold probability of the given role.
        confidence: The out-of-fold probability of the suggested role.
        before: Texts of the segments before it.
        after: Texts of the segments after it.
    """

    page_id: str
    site: str
    segment: int
    text: str
    given: str
    suggested: str
    quality: float
    confidence: float
    before: tuple[str, ...]
    after: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: getattr(self, name) for name in self.__slots__}


def label_errors(pages: Sequence[Page], records: Sequence[Mapping[str, Any]]) -> list[LabelError]:
    """Ranks probable label errors, the surest first (confident learning; Northcutt, Jiang & Chuang 2021, by cleanlab).

    Args:
        pages: Labelled pages.
        records: Out-of-fold records of the same pages, in the same order.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    where = [(p, i) for p, page in enumerate(pages) for i, s in enumerate(page.segments) if word_count(s.text) >= MIN_WORDS]
    given = np.array([ROLES.index(str(pages[p].segments[i].role)) for p, i in where])
    rows = np.array([[records[p]["segments"][i]["scores"][role] for role in ROLES] for p, i in where])
    if not len(rows) or len(np.unique(given)) < 2:
        raise InputError(
            "labels of fewer than two roles", expected="labelled pages", remedy="check the corpus", rule="one-class"
        )  # fmt: skip
    rows /= rows.sum(axis=1, keepdims=True)
    present = np.unique(given)
    chosen = np.maximum(rows[:, present], 1e-9)  # a model may be quite sure of a role that no label has
    compact, chosen = np.searchsorted(present, given), chosen / chosen.sum(axis=1, keepdims=True)
    quality = get_label_quality_scores(compact, chosen)
    issues = find_label_issues(compact, chosen, return_indices_ranked_by="self_confidence", n_jobs=1)
    found = []
    for k in issues:
        p, i = where[int(k)]
        page, best = pages[p], int(rows[k].argmax())
        if best == given[k]:
            continue
        texts = page.texts
        found.append(
            LabelError(
                page.page_id, page.site, i, texts[i], ROLES[given[k]], ROLES[best], round(float(quality[k]), 6), round(float(rows[k, best]), 6),
                tuple(texts[max(0, i - CONTEXT) : i]), tuple(texts[i + 1 : i + 1 + CONTEXT]),
            )
        )  # fmt: skip
    return found


def write_label_errors(
    folder: Path, pages: Sequence[Page], records: Sequence[Mapping[str, Any]], errors: Sequence[LabelError], *, most: int
) -> tuple[Path, Path, int]:
    """Writes what was found: `label-errors.jsonl`, and `tasks.json` and `interface.xml` for Label Studio.

    Args:
        folder: Where to.
        pages: Labelled pages.
        records: Out-of-fold records, in the same order; they become the tasks' pre-annotations.
        errors: As `label_errors` ranks them.
        most: Tasks are the pages of the first so many errors.

    Returns:
        The list, the tasks, and the number of tasks.
    """
    jsonl.write(folder / "label-errors.jsonl", (error.to_json() for error in errors))
    wanted: dict[str, list[LabelError]] = {}
    for error in errors[:most]:
        wanted.setdefault(error.page_id, []).append(error)
    by_id = {page.page_id: (page, record) for page, record in zip(pages, records, strict=True)}
    tasks = (
        label_studio.task(*by_id[page_id], suspects="; ".join(f"{e.segment}: {e.given}, perhaps {e.suggested}" for e in found))
        for page_id, found in wanted.items()
    )
    count = label_studio.write_tasks(folder / "tasks.json", tasks)
    write_text(folder / "interface.xml", label_studio.interface(_topics(pages)))
    return folder / "label-errors.jsonl", folder / "tasks.json", count


def _topics(pages: Iterable[Page]) -> list[str]:
    return sorted({s.topic for page in pages for s in page.segments if s.topic is not None})


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
    prints: dict[str, np.ndarray] = {}
    sites: dict[str, str] = {}

    def unlabelled() -> Iterator[tuple[str, list[str]]]:
        for page in Corpus(corpus, labelled=False):
            if page.segments and not page.labelled:
                prints[page.page_id] = passages(" ".join(page.texts))
                sites[page.page_id] = page.site
                yield page.page_id, page.texts

    scored = [(record["page_id"], _uncertainty(record)) for record in labeler.label(unlabelled())]
    if not scored:
        raise InputError(
            "no unlabelled page", expected="pages without roles", remedy="name the corpus of pages to choose from", path=corpus,
            rule="empty-corpus",
        )  # fmt: skip
    return list(_spread([Suggestion(page_id, sites[page_id], value) for page_id, value in scored], prints, count))


def _uncertainty(record: Mapping[str, Any]) -> float:
    total = weight = 0.0
    for segment in record["segments"]:
        first, second = sorted(segment["scores"].values(), reverse=True)[:2]
        words = np.sqrt(max(1, word_count(segment["text"])))
        total += words * (1 - (first - second))
        weight += words
    return total / weight


def _spread(candidates: list[Suggestion], prints: Mapping[str, np.ndarray], count: int) -> Iterator[Suggestion]:
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
        own = prints[best.page_id].tolist()
        near = bool(own) and sum(name in taken for name in own) > NEAR * len(own)
        picked_of[site] += not near
        if by_site[site]:
            heapq.heappush(waiting, (-by_site[site][-1].uncertainty * SITE_DISCOUNT ** picked_of[site], site))
        if not near:
            taken.update(own)
            count -= 1
            yield best


def write_suggestions(folder: Path, corpus: str, labeler: Labeler, suggestions: Sequence[Suggestion]) -> tuple[Path, int]:
    """Writes the pages as `tasks.json` and `interface.xml` for Label Studio, the model's answers as pre-annotations.

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

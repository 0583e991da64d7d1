"""Labels that a model which has not seen the page doubts: probable errors, the surest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.common.errors import InputError
from train.common.files import write_text
from train.corpus.page import Page
from train.corpus.sources import jsonl, label_studio
from train.runtime.text import ROLES, word_count

MIN_WORDS = 3
"""As for scores: a menu label of a word or two is not worth an annotator's look."""
CONTEXT = 2


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

    Raises:
        InputError: The pages' labels have fewer than two roles.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    where = [
        (p, i) for p, page in enumerate(pages) for i, s in enumerate(page.segments) if word_count(s.text) >= MIN_WORDS
    ]
    given = np.array([ROLES.index(str(pages[p].segments[i].role)) for p, i in where])
    rows = np.array([[records[p]["segments"][i]["scores"][role] for role in ROLES] for p, i in where])
    if not len(rows) or len(np.unique(given)) < 2:
        raise InputError(
            "labels of fewer than two roles", expected="labelled pages", remedy="check the corpus", rule="one-class"
        )
    rows /= rows.sum(axis=1, keepdims=True)
    present = np.unique(given)
    chosen = np.maximum(rows[:, present], 1e-9)  # a model may be quite sure of a role that no label has
    compact, chosen = np.searchsorted(present, given), chosen / chosen.sum(axis=1, keepdims=True)
    quality = get_label_quality_scores(compact, chosen)
    issues = find_label_issues(compact, chosen, return_indices_ranked_by="self_confidence", n_jobs=1)
    errors = []
    for k in issues:
        p, i = where[int(k)]
        page, best = pages[p], int(rows[k].argmax())
        if best == given[k]:
            continue
        texts = page.texts
        errors.append(
            LabelError(
                page.page_id,
                page.site,
                i,
                texts[i],
                ROLES[given[k]],
                ROLES[best],
                round(float(quality[k]), 6),
                round(float(rows[k, best]), 6),
                tuple(texts[max(0, i - CONTEXT) : i]),
                tuple(texts[i + 1 : i + 1 + CONTEXT]),
            )
        )
    return errors


def write_label_errors(
    folder: Path,
    pages: Sequence[Page],
    records: Sequence[Mapping[str, Any]],
    errors: Sequence[LabelError],
    *,
    most: int,
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
        label_studio.task(
            *by_id[page_id], suspects="; ".join(f"{e.segment}: {e.given}, perhaps {e.suggested}" for e in own)
        )
        for page_id, own in wanted.items()
    )
    count = label_studio.write_tasks(folder / "tasks.json", tasks)
    write_text(folder / "interface.xml", label_studio.interface(_topics(pages)))
    return folder / "label-errors.jsonl", folder / "tasks.json", count


def _topics(pages: Iterable[Page]) -> list[str]:
    return sorted({s.topic for page in pages for s in page.segments if s.topic is not None})

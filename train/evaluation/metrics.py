"""Scores of predictions against labelled pages, with intervals over sites.

Segments of at least three words count for roles. Text scores compare 4-gram shingles of the main story as the
article-extraction-benchmark does (mean over pages of precision and of recall, F1 of the means). Everything is computed
from counts that add up over pages, so that the bootstrap over sites (Efron & Tibshirani 1993, chapter 8) resamples sums
and never rescores a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from train.corpus.page import Page
from train.evaluation.bootstrap import intervals_of, resampled
from train.evaluation.counts import count_by_site

KEY_METRICS = {
    "role/macro_f1": "role macro-F1",
    "role/f1/main": "main",
    "role/f1/related": "related",
    "role/main_words_f1": "words F1",
    "text/f1": "text F1",
    "role/related_leak": "leak",
    "story/boundary_f1": "boundary",
}
"""What a table of many models shows, and its headings."""
TOPIC_METRICS = {"topic/macro_f1": "topic macro-F1", "topic/accuracy": "topic accuracy"}
COSTS = {
    "cost/train_s": "training s",
    "cost/segments_per_s": "segments/s",
    "cost/peak_memory_mb": "peak memory MB",
    "size/mb": "model MB",
}
"""Metrics of what a run cost, and their headings."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model on one set of pages.

    Args:
        values: Metric name -> value in 0..1.
        intervals: Metric name -> `(low, high)` over sites.
        n_pages: Pages scored.
        n_sites: Sites they come from.
        confidence: Level of the intervals.
        absent: Roles of no scored segment, neither labelled nor predicted. Their F1 is 1 and counts in the macro-F1, as
            the definition of these scores has it; it tells nothing.
    """

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    n_pages: int
    n_sites: int
    confidence: float
    absent: tuple[str, ...] = ()

    def metrics(self, part: str) -> dict[str, float]:
        """By the names of MLflow: `<part>/<metric>`, and `/low` and `/high` of those with an interval."""
        metrics: dict[str, float] = {}
        for name, (low, high) in self.intervals.items():
            metrics |= {f"{part}/{name}/low": low, f"{part}/{name}/high": high}
        for name, value in self.values.items():
            own = f"{part}/{name}"
            while own in metrics:  # a topic that is called like the bound of another
                own += "_"
            metrics[own] = value
        return metrics

    def only(self, prefix: str) -> Evaluation:
        """The scores whose names begin so."""
        values = {name: value for name, value in self.values.items() if name.startswith(prefix)}
        return replace(
            self, values=values, intervals={name: self.intervals[name] for name in values if name in self.intervals}
        )

    def to_json(self, **more: Any) -> dict[str, Any]:
        """One flat object; intervals under `intervals`."""
        return {
            **{name: round(value, 6) for name, value in self.values.items()},
            "intervals": {name: [round(low, 6), round(high, 6)] for name, (low, high) in self.intervals.items()},
            "confidence": self.confidence,
            "n_pages": self.n_pages,
            "n_sites": self.n_sites,
            **({"absent_roles": list(self.absent)} if self.absent else {}),
            **more,
        }


def evaluate(
    pages: Sequence[Page],
    records: Iterable[Mapping[str, Any]],
    *,
    bootstrap_samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Scores `predict`'s records against labelled pages.

    Args:
        pages: Gold pages.
        records: One record a page, in any order.
        bootstrap_samples: Resamples of sites; 0 leaves the intervals out.
        confidence: Level of the intervals.
        seed: Seeds the draws of sites.

    Raises:
        InputError: A page has no record, or one with another number of segments.
    """
    table, per_site = count_by_site(pages, records)
    summed = per_site.sum(axis=0)
    values = {name: float(value) for name, value in table.metrics(summed).items()}
    intervals: dict[str, tuple[float, float]] = {}
    if bootstrap_samples:
        intervals = intervals_of(table.metrics(resampled(per_site, bootstrap_samples, seed)), confidence)
    return Evaluation(values, intervals, len(pages), len(per_site), confidence, table.absent_roles(summed))


def paired_difference(
    pages: Sequence[Page],
    records: Iterable[Mapping[str, Any]],
    other: Iterable[Mapping[str, Any]],
    *,
    bootstrap_samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """How much better one model's records are than another's on the same pages: differences of scores, with paired
    intervals.

    Both are resampled by the same sites (paired bootstrap; Berg-Kirkpatrick, Burkett & Klein 2012), so that sites which
    are hard for both do not widen the interval. An interval that holds 0 shows no difference.

    Args:
        pages: Labelled pages.
        records: The records whose scores count positively, one a page, in any order.
        other: The records whose scores are subtracted, one a page, in any order.
        bootstrap_samples: The number of resamples of sites.
        confidence: The level of the intervals.
        seed: Seeds the draws of sites.

    Returns:
        An `Evaluation` whose values, -1..1, and intervals are differences.

    Raises:
        InputError: A page has no record, or one with another number of segments.
    """
    table, ours = count_by_site(pages, records)
    _, theirs = count_by_site(pages, other)

    def difference(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        left, right = table.metrics(a), table.metrics(b)
        return {name: left[name] - right[name] for name in left}

    values = {name: float(value) for name, value in difference(ours.sum(axis=0), theirs.sum(axis=0)).items()}
    intervals = intervals_of(
        difference(*(resampled(counts, bootstrap_samples, seed) for counts in (ours, theirs))), confidence
    )
    return Evaluation(values, intervals, len(pages), len(ours), confidence)


PagesAndRecords = tuple[list[Page], list[Mapping[str, Any]]]
"""Pages and their records, in the same order."""


def by_value(pages: Sequence[Page], records: Sequence[Mapping[str, Any]], key: str) -> dict[str, PagesAndRecords]:
    """Groups pages and their records by the value of a key of the page.

    Args:
        pages: Labelled pages.
        records: Their records, in the same order.
        key: `lang`, whose regions count as one (en-US and en-GB as en), `site`, or a key that came with the corpus.

    Returns:
        Value -> its pages and records, sorted by value; pages without the key are under `none`.
    """
    groups: dict[str, PagesAndRecords] = {}
    for page, record in zip(pages, records, strict=True):
        value = getattr(page, key) if key in ("lang", "site") else page.extra.get(key)
        if key == "lang" and value:
            value = value.replace("_", "-").partition("-")[0].casefold()
        group = groups.setdefault("none" if value is None else str(value), ([], []))
        group[0].append(page)
        group[1].append(record)
    return dict(sorted(groups.items()))

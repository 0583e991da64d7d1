"""Where a model is right and where it is wrong: its predictions as columns, confusion, and scores of slices and sites.

Segments of fewer than three words are left out, as the role scores leave them out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from train.corpus.page import Page
from train.evaluation.bootstrap import intervals_of, resampled
from train.evaluation.counts import BODY_WORDS, MIN_WORDS, f1_of
from train.runtime.text import ROLES, word_count

FEW_SITES, FEW_SEGMENTS = 5, 30
"""A slice of fewer sites, or a site of fewer segments, tells little and is marked so."""
_LENGTHS = (
    (3, "3 to 5 words"),
    (6, "6 to 11 words"),
    (12, "12 to 24 words"),
    (25, "25 to 49 words"),
    (50, "50 words or more"),
)
_PLACES = ("first fifth of the page", "second fifth", "middle fifth", "fourth fifth", "last fifth")
_SITE_SIZES = (
    (1, "1 page of the site"),
    (2, "2 to 4 pages of the site"),
    (5, "5 to 9 pages of the site"),
    (10, "10 pages or more"),
)
_HEADLINE_WORDS = 12
NONE = "none"
MOST_VALUES, LONGEST_NAME = 8, 40
"""A key that came with the corpus is a dimension when its values on the pages are 2 to so many, and it and they are no
longer than this."""


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for labelled segments, a row each, in page order.

    Args:
        sites: The pages' sites, in alphabetical order.
        page: Index of the segment's page, `[n]`.
        segment: Index of the segment on its page, `[n]`.
        site: Index of the page's site in `sites`, `[n]`.
        words: Number of words of the segment, `[n]`.
        gold: Index of the labelled role in `ROLES`, `[n]`.
        predicted: Index of the predicted role in `ROLES`, `[n]`.
        scores: Predicted probability of each role, `[n, 3]`.
    """

    sites: tuple[str, ...]
    page: np.ndarray
    segment: np.ndarray
    site: np.ndarray
    words: np.ndarray
    gold: np.ndarray
    predicted: np.ndarray
    scores: np.ndarray

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the answered role, `[n]`."""
        return np.asarray(self.scores[np.arange(len(self.predicted)), self.predicted])


def predictions_of(pages: Sequence[Page], records: Sequence[Mapping[str, Any]]) -> Predictions:
    """The predictions for the scored segments of labelled pages, as columns.

    Args:
        pages: Labelled pages.
        records: `predict`'s records, in the same order.
    """
    sites = tuple(sorted({page.site for page in pages}))
    index = {site: i for i, site in enumerate(sites)}
    rows, scores = [], []
    for p, (page, record) in enumerate(zip(pages, records, strict=True)):
        for i, (segment, prediction) in enumerate(zip(page.segments, record["segments"], strict=True)):
            words = word_count(segment.text)
            if words >= MIN_WORDS:
                rows.append(
                    (p, i, index[page.site], words, ROLES.index(str(segment.role)), ROLES.index(prediction["role"]))
                )
                scores.append([prediction["scores"][role] for role in ROLES])
    page_of, place, site_of, words_of, gold, predicted = np.array(rows, dtype=int).reshape(-1, 6).T
    return Predictions(
        sites, page_of, place, site_of, words_of, gold, predicted, np.array(scores).reshape(-1, len(ROLES))
    )


def confusion(predictions: Predictions, chosen: np.ndarray | None = None) -> np.ndarray:
    """Counts of segments by site, labelled role and predicted role, `[sites, 3, 3]`.

    Args:
        predictions: The predictions.
        chosen: The rows to count, as a mask or indices; None counts all.
    """
    counts = np.zeros((len(predictions.sites), len(ROLES), len(ROLES)), dtype=int)
    where = slice(None) if chosen is None else chosen
    np.add.at(counts, (predictions.site[where], predictions.gold[where], predictions.predicted[where]), 1)
    return counts


@dataclass(frozen=True)
class Slice:
    """Scores of some of the segments.

    Args:
        dimension: What the segments are sliced by, e.g. `length`.
        value: The value of that dimension.
        segments: Number of scored segments in the slice.
        pages: Number of pages they are on.
        sites: Number of sites those pages come from.
        macro_f1: Mean F1 of the roles that are labelled in the slice: a role it lacks is not scored there.
        low: Lower end of its interval over sites.
        high: Upper end of that interval.
        f1: Role -> F1, for the roles that are labelled in the slice.
        few: Whether these are too few to tell (`FEW_SITES`, of a site `FEW_SEGMENTS`).
    """

    dimension: str
    value: str
    segments: int
    pages: int
    sites: int
    macro_f1: float
    low: float
    high: float
    f1: Mapping[str, float]
    few: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def slices(
    pages: Sequence[Page], predictions: Predictions, *, samples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> list[Slice]:
    """Scores by segment length, place on the page, language, size of the site, the related items' shape and place, and
    keys of the corpus.

    Args:
        pages: The labelled pages that `predictions` was made from, in the same order.
        predictions: The predictions of one model.
        samples: Bootstrap resamples of sites; 0: `low` and `high` are the score.
        confidence: Level of the intervals.
        seed: Seeds the draws of sites.
    """
    scored = []
    for dimension, values, order in _dimensions(pages, predictions):
        present = [value for value in order if (values == value).any()]
        if len(present) > 1:
            scored += [
                _slice(dimension, value, predictions, values == value, samples, confidence, seed) for value in present
            ]
    return scored


def site_slices(predictions: Predictions) -> list[Slice]:
    """Scores of each site, the worst first; no intervals, as a site is one draw."""
    scored = [
        _slice("site", site, predictions, predictions.site == i, 0, 0.95, 0) for i, site in enumerate(predictions.sites)
    ]
    marked = (replace(one, few=one.segments < FEW_SEGMENTS) for one in scored if one.segments)
    return sorted(marked, key=lambda one: (one.macro_f1, one.value))


def slice_values(pages: Sequence[Page], predictions: Predictions) -> dict[str, np.ndarray]:
    """The value of each dimension that `slices` tells apart, for each row of `predictions`, made from the same `pages`:
    dimension -> `[n]`."""
    return {
        dimension: values for dimension, values, _ in _dimensions(pages, predictions) if len(set(values.tolist())) > 1
    }


def _slice(
    dimension: str, value: str, predictions: Predictions, chosen: np.ndarray, samples: int, confidence: float, seed: int
) -> Slice:
    counts = confusion(predictions, chosen)
    seen = counts.any(axis=(1, 2))
    counts = counts[seen]
    total = counts.sum(axis=0)
    roles = np.flatnonzero(total.sum(axis=1))
    f1 = _f1(total)
    macro = float(f1[roles].mean()) if len(roles) else 0.0
    low = high = macro
    if samples and len(counts):
        draws = resampled(counts.reshape(len(counts), -1), samples, seed).reshape(-1, len(ROLES), len(ROLES))
        low, high = intervals_of({"": _f1(draws)[:, roles].mean(axis=1)}, confidence)[""]
    n_pages, n_sites = len(np.unique(predictions.page[chosen])), int(seen.sum())
    return Slice(
        dimension,
        value,
        int(chosen.sum()),
        n_pages,
        n_sites,
        macro,
        low,
        high,
        {ROLES[r]: float(f1[r]) for r in roles},
        n_sites < FEW_SITES,
    )


def _f1(counts: np.ndarray) -> np.ndarray:
    """F1 of each role from counts `[…, labelled, answered]`."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    return f1_of(right, counts.sum(axis=-2) - right, counts.sum(axis=-1) - right)


def _dimensions(pages: Sequence[Page], predictions: Predictions) -> Iterator[tuple[str, np.ndarray, Sequence[str]]]:
    """Name, value of each row, and the values in order."""

    def of_pages(values: Sequence[str]) -> np.ndarray:
        return np.asarray(np.array(values, dtype=object)[predictions.page])

    sizes = np.array([len(page.segments) for page in pages])[predictions.page]
    languages = [str(page.lang or "unknown") for page in pages]
    of_site = Counter(page.site for page in pages)
    site_sizes = np.array([of_site[page.site] for page in pages])[predictions.page]
    own: list[tuple[str, np.ndarray, Sequence[str]]] = [
        ("length", _ranged(predictions.words, _LENGTHS), [name for _, name in _LENGTHS]),
        ("place", np.array(_PLACES, dtype=object)[predictions.segment * len(_PLACES) // sizes], _PLACES),
        ("language", of_pages(languages), [lang for lang, _ in Counter(languages).most_common()]),
        ("site size", _ranged(site_sizes, _SITE_SIZES), [name for _, name in _SITE_SIZES]),
        (
            "related items",
            of_pages([_related_shape(page) for page in pages]),
            (NONE, "headlines", "teasers", "whole bodies"),
        ),
        (
            "related place",
            of_pages([_related_place(page) for page in pages]),
            (NONE, "after the story", "before or amid the story"),
        ),
    ]
    yield from own
    for key in sorted({key for page in pages for key in page.extra}):
        values_of_key = [page.extra.get(key) for page in pages]
        names = [NONE if value is None else str(value) for value in values_of_key]
        plain = all(isinstance(value, str | bool | int | None) for value in values_of_key)
        if plain and 2 <= len(set(names)) <= MOST_VALUES and max(map(len, (key, *names))) <= LONGEST_NAME:
            yield (
                key if key not in {name for name, _, _ in own} else f"{key} (of the corpus)",
                of_pages(names),
                sorted(set(names)),
            )


def _ranged(numbers: np.ndarray, ranges: Sequence[tuple[int, str]]) -> np.ndarray:
    starts, names = [start for start, _ in ranges], np.array([name for _, name in ranges], dtype=object)
    return np.asarray(names[np.searchsorted(starts, numbers, side="right") - 1])


def _related_shape(page: Page) -> str:
    longest = max((word_count(s.text) for s in page.segments if s.role == "related"), default=0)
    return (
        NONE
        if not longest
        else "headlines"
        if longest < _HEADLINE_WORDS
        else "teasers"
        if longest < BODY_WORDS
        else "whole bodies"
    )


def _related_place(page: Page) -> str:
    related = [i for i, s in enumerate(page.segments) if s.role == "related"]
    last = max((i for i, s in enumerate(page.segments) if s.role == "main"), default=-1)
    return NONE if not related else "after the story" if related[0] > last else "before or amid the story"

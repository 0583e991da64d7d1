"""The TF-IDF family at work: a first reading of each segment and its neighbours, a second one that knows the first.

The second reading is stacked sequential learning (Cohen & Carvalho 2005): what the first model thinks of the segments
around, and of all before and after, are features of the second. On pages of unseen sites that is worth more than the
neighbours' words, which mostly teach the templates of the training sites.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from .captions import captions
from .decoding import B_RELATED, BOILERPLATE, I_RELATED, MAIN, TAGS, softmax
from .features import Features, shifted
from .manifest import BundleError
from .ngrams import Vectoriser, transform_each
from .page_features import LONG_WORDS, SURFACE_NAMES, numeric_features
from .text import spaced_words
from .trees import Trees

BATCH_SEGMENTS = 20_000
"""Pages are read in batches of about this many segments, so memory stays flat however many pages come."""
SIMILARITY_NAMES = ("to_last_long", "to_next_long", "to_first_long", "to_long_centroid")
_PARTS = ("words", "chars", "neighbours", "scaler", "linear", "topic_words", "topic_linear")


@dataclass
class Baseline:
    """The fitted parts: stock scikit-learn types, so that skops loads them with an empty trust list, and plain arrays.

    Args:
        words: Fitted TfidfVectorizer of words.
        chars: Fitted TfidfVectorizer of character n-grams, read at both ends of a segment.
        neighbours: Fitted TfidfVectorizer of the words that are read of neighbours, or None.
        scaler: Fitted scaler of the numeric features, or None when `numbers` is off.
        linear: Fitted LogisticRegression over decoder states: the first reading.
        second: Trees of the second reading, or None.
        topic_words: Fitted TfidfVectorizer of stories, or None without topics.
        topic_linear: Fitted LogisticRegression over topics, or None.
        before: How many preceding neighbours are read.
        after: How many following neighbours are read.
        numbers: Whether the first reading is given shape, place, likeness, signs of captions and similarity.
        captions: Whether signs of captions are among the numbers; bundles made before them say nothing of it, and read
            without.
        reach: How many neighbours to each side the second reading looks at.
        topics: Topic names in the order of the scores.
    """

    words: Any
    chars: Any
    neighbours: Any
    scaler: Any
    linear: Any
    second: Trees | None
    topic_words: Any
    topic_linear: Any
    before: int
    after: int
    numbers: bool
    captions: bool
    reach: int
    topics: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path, manifest: dict[str, Any]) -> Baseline:
        """Loads the parts that `write` stored.

        Args:
            folder: The bundle's folder.
            manifest: The bundle's manifest, as `read_manifest` returns it.
        """
        import skops.io

        for name in ("model.skops", "trees.npz"):
            if (folder / name).is_file():
                require_unpacked(folder / name)
        parts = skops.io.load(folder / "model.skops", trusted=[])
        _require_finite(parts)
        second = Trees.load(folder / "trees.npz") if manifest["baseline"]["reach"] else None
        return cls(
            **parts, second=second, **{"captions": False, **manifest["baseline"]}, topics=tuple(manifest["topics"])
        )

    def write(self, folder: Path) -> dict[str, Any]:
        """Stores the parts in `folder` and returns what the manifest must say of them."""
        import skops.io

        for vectoriser in (self.words, self.chars, self.neighbours, self.topic_words):
            if vectoriser is not None:
                # numpy integers would become a file each in the archive, tens of thousands of them.
                vectoriser.vocabulary_ = {term: int(i) for term, i in vectoriser.vocabulary_.items()}
        skops.io.dump({name: getattr(self, name) for name in _PARTS}, folder / "model.skops")
        if self.second is not None:
            self.second.write(folder / "trees.npz")
        return {"baseline": {name: getattr(self, name) for name in ("before", "after", "numbers", "captions", "reach")}}

    @property
    def offsets(self) -> list[int]:
        """Positions of the neighbours that are read, relative to the segment."""
        return [*range(-self.before, 0), *range(1, self.after + 1)]

    def _table(self, name: str) -> Vectoriser:
        """A vectoriser as the table of hashes it is read with; made when it is first needed."""
        tables: dict[str, Vectoriser] = self.__dict__.setdefault("_hashed", {})
        if name not in tables:
            tables[name] = Vectoriser.of(getattr(self, name))
        return tables[name]

    @cached_property
    def _coefficients(self) -> tuple[np.ndarray, np.ndarray]:
        return coefficients(self.linear)

    def read(self, pages: Sequence[Sequence[str]]) -> tuple[Features, np.ndarray]:
        """What the first reading sees; each text is cut up once, however many segments hold it.

        Args:
            pages: Cleaned segments, page by page.

        Returns:
            Features whose numbers are left out, and shape, place, likeness, signs of captions and similarity,
            `[segments, numbers]`.
        """
        places: dict[str, int] = {}
        place = np.array([places.setdefault(text, len(places)) for page in pages for text in page], np.int64)
        distinct = list(places)
        by_words = [self._table(name) for name in ("words", "neighbours") if getattr(self, name) is not None]
        words, *around = transform_each(by_words, distinct)
        chars = self._table("chars").transform([ends(text) for text in distinct])
        signs = [captions(distinct)[place]] if self.captions else []
        counted = np.hstack(
            [np.concatenate([numeric_features(page) for page in pages]), *signs, similarity(pages, words[place])]
        )
        found = Features(
            words, chars, around[0] if around else None, place, None, [len(page) for page in pages], self.offsets
        )
        return found, counted

    def features(self, pages: Sequence[Sequence[str]]) -> Features:
        """The features of the first reading."""
        return self.with_numbers(*self.read(pages))

    def with_numbers(self, found: Features, counted: np.ndarray) -> Features:
        """The features with the scaled numeric features of each segment and its neighbours, where the model uses them.

        Args:
            found: The features as `read` returns them.
            counted: The numeric features as `read` returns them, `[segments, numbers]`.
        """
        if not self.numbers:
            return found
        scaled = (self.with_neighbours(counted, found.lengths) - self.scaler.mean_) / self.scaler.scale_
        return replace(found, numbers=scaled.astype(np.float32))

    def with_neighbours(self, counted: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """The numeric features of each segment beside the surface features of its neighbours, `[segments, features]`.

        Args:
            counted: The numeric features, `[segments, numbers]`, surface features first.
            lengths: The number of segments of each page.
        """
        shapes = counted[:, :SHAPES]
        return np.hstack([counted, *(shifted(shapes, offset, lengths) for offset in self.offsets)])

    def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], None]:
        """State probabilities `[n, 4]` page by page; topics need the stories first, hence the None."""
        by_page: list[np.ndarray] = []
        for batch in _batches(pages):
            lengths = [len(page) for page in batch]
            states = np.zeros((0, len(TAGS)))
            if any(lengths):
                found, counted = self.read(batch)
                states = first_stage(self.linear, self.with_numbers(found, counted), self._coefficients)
                if self.second is not None:
                    states = self.second.predict_proba(stacking_features(states, counted, lengths, self.reach))
            by_page += np.split(states, np.cumsum(lengths)[:-1])
        return by_page, None

    def story_topics(self, stories: Sequence[str]) -> np.ndarray:
        """Topic probabilities `[stories, topics]` of whole stories' texts."""
        if not stories:
            return np.zeros((0, len(self.topics)))
        read = [story[:STORY_CHARS] for story in stories]
        return np.asarray(self.topic_linear.predict_proba(self._table("topic_words").transform(read)))


def require_unpacked(path: Path) -> None:
    """Raises a BundleError where an archive unpacks to much more than itself: ours are not packed."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > 2 * path.stat().st_size + 2**20:
            raise BundleError(f"{path} unpacks to more than twice its size. Do not use this bundle.")


def _require_finite(parts: Mapping[str, Any]) -> None:
    for name, values in (
        ("linear", ("coef_", "intercept_")),
        ("topic_linear", ("coef_", "intercept_")),
        ("scaler", ("mean_", "scale_")),
    ):
        part = parts[name]
        if part is not None and not all(np.isfinite(np.asarray(getattr(part, value), float)).all() for value in values):
            raise ValueError(f"numbers of {name} that are not finite; do not use this file")


STORY_CHARS = 1_000_000
"""Of a story its topic is read from; what is longer is no news story."""
SHAPES = len(SURFACE_NAMES)
ENDS = (200, 100)
"""Characters read by the character n-grams at a segment's beginning and end: where headlines, credits and calls
stand."""


def ends(text: str) -> str:
    """The two ends of a long segment."""
    head, tail = ENDS
    return text if len(text) <= head + tail else f"{text[:head]} {text[-tail:]}"


def coefficients(linear: Any) -> tuple[np.ndarray, np.ndarray]:
    """A logistic regression's coefficients float32 `[features, classes]` and intercepts `[classes]`."""
    weights, intercepts = np.asarray(linear.coef_), np.asarray(linear.intercept_)
    if len(linear.classes_) == 2:
        # scikit-learn keeps one row for two classes.
        weights, intercepts = np.vstack([-weights, weights]) / 2, np.hstack([-intercepts, intercepts]) / 2
    return np.ascontiguousarray(weights.T, np.float32), intercepts


def first_stage(linear: Any, features: Features, known: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
    """State probabilities `[segments, 4]` by a logistic regression.

    Args:
        linear: A fitted LogisticRegression over decoder states.
        features: The features it was fitted on.
        known: Its `coefficients`, where they are at hand; None computes them.
    """
    weights, intercepts = known or coefficients(linear)
    return all_tags(softmax(features.dot(weights) + intercepts), linear.classes_)


def all_tags(rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Probabilities of the states seen in training as probabilities of all states, `[n, 4]`.

    Args:
        rows: Probabilities of the states seen, `[n, seen]`.
        classes: The index of each seen state, `[seen]`.
    """
    full = np.zeros((len(rows), len(TAGS)))
    full[:, classes] = rows
    return full


def stacking_features(states: np.ndarray, numbers: np.ndarray, lengths: Sequence[int], reach: int) -> np.ndarray:
    """What the second reading knows of each segment.

    Args:
        states: State probabilities by the first stage, `[segments, 4]`.
        numbers: `[segments, numbers]` as `Baseline.read` gives them, shapes first.
        lengths: The number of segments of each page.
        reach: The number of neighbours to each side whose states are features.

    Returns:
        float32 `[segments, features]`: own states (log), numbers, neighbours' states, expected number of segments in
        each state before and after on the page (log), where the main story seems to be, shapes of the nearest
        neighbours.
    """
    around = [shifted(states, offset, lengths) for offset in range(-reach, reach + 1) if offset]
    before, after = np.zeros_like(states), np.zeros_like(states)
    context = np.zeros((len(states), CONTEXT))
    start = 0
    for length in lengths:
        where = slice(start, start + length)
        running = states[where].cumsum(axis=0)
        before[where] = running - states[where]
        after[where] = states[where].sum(axis=0) - running
        if length:
            context[where] = page_context(states[where], np.expm1(numbers[where, 0] * 6))
        start += length
    own = np.log(np.clip(states, 1e-4, 1))
    shapes = [
        shifted(numbers[:, :SHAPES], offset, lengths) for offset in range(-SHAPES_AROUND, SHAPES_AROUND + 1) if offset
    ]
    return np.hstack(
        [own, numbers, *around, np.log1p(before), np.log1p(np.maximum(after, 0)), context, *shapes]
    ).astype(np.float32)


SHAPES_AROUND = 2
"""The second reading sees the shape of so many neighbours to each side."""
NEAR, WIDE = 9, 31
"""Segments over which the first reading is averaged: a paragraph's company, and a stretch of the page."""
CONTEXT = 9


def page_context(states: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Where on the page the main story seems to be, by the first reading of the whole page.

    Args:
        states: `[n, 4]` the first reading, n at least 1.
        words: `[n]` words of each segment.

    Returns:
        `[n, CONTEXT]`: share of the main story's expected words that lie before, all of them (log), mean of main,
        boilerplate and related over the 9 segments around, of main and related over 31, signed distance to where main
        is densest (log), segments (log).
    """
    n = len(states)
    main_words = states[:, MAIN] * words
    total = float(main_words.sum())
    related = states[:, B_RELATED] + states[:, I_RELATED]
    dense = _mean_around(main_words, NEAR)
    away = np.arange(n) - int(dense.argmax())
    columns = (
        (main_words.cumsum() - main_words) / max(total, 1e-9),
        np.full(n, np.log1p(total) / 9),
        *(_mean_around(column, NEAR) for column in (states[:, MAIN], states[:, BOILERPLATE], related)),
        *(_mean_around(column, WIDE) for column in (states[:, MAIN], related)),
        np.sign(away) * np.log1p(np.abs(away)) / 6,
        np.full(n, np.log1p(n) / 7),
    )
    return np.stack(columns, axis=1)


def _mean_around(values: np.ndarray, width: int) -> np.ndarray:
    """Mean over `width` values around each, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    first, last = np.maximum(index - width // 2, 0), np.minimum(index + width // 2 + 1, len(values))
    return np.asarray((total[last] - total[first]) / (last - first))


def similarity(pages: Sequence[Sequence[str]], words: sp.csr_matrix) -> np.ndarray:
    """Cosine of each segment with the running text around it: the last, the next and the first long segment, and the
    centroid of all.

    Running text that resembles what came before it goes on with the same story; where it does not, a new one begins.

    Args:
        pages: Cleaned segments, page by page.
        words: TF-IDF rows of all their segments, `[segments, words]`, each of length 1 or empty.

    Returns:
        float32 `[segments, 4]`; 0 where there is no such long segment.
    """
    cosines = np.zeros((words.shape[0], len(SIMILARITY_NAMES)), dtype=np.float32)
    start = 0
    for page in pages:
        end = start + len(page)
        long = start + np.flatnonzero([spaced_words(text) >= LONG_WORDS for text in page])
        if len(long):
            rows = np.arange(start, end)
            where = np.searchsorted(long, rows)
            last = long[np.maximum(where - 1, 0)]
            after = np.searchsorted(long, rows, side="right")
            following = long[np.minimum(after, len(long) - 1)]
            dots = _dots(words[start:end], last - start, following - start, long - start)
            cosines[start:end] = dots
            cosines[start:end, 0] *= where > 0
            cosines[start:end, 1] *= after < len(long)
            cosines[start:end, 2] *= rows != long[0]
        start = end
    return cosines


DENSE = 4_000_000
"""A page of so many cells, segments by distinct words, is multiplied as a dense matrix; a larger one as a sparse
matrix, which takes longer."""


def _dots(own: sp.csr_matrix, last: np.ndarray, following: np.ndarray, long: np.ndarray) -> np.ndarray:
    """Products of each of a page's rows with its `last` and `following` one, the first long one and the direction of
    the long ones' mean, `[n, 4]`."""
    columns, place = np.unique(own.indices, return_inverse=True)
    if own.shape[0] * len(columns) > DENSE:
        centroid = np.asarray(own[long].mean(axis=0)).ravel()
        pairs = [np.asarray(own.multiply(own[other]).sum(axis=1)).ravel() for other in (last, following)]
        first = (own @ own[long[0]].T).toarray()[:, 0]
        return np.stack([*pairs, first, own @ (centroid / max(float(np.linalg.norm(centroid)), 1e-9))], axis=1)
    dense = np.zeros((own.shape[0], len(columns)), np.float32)
    dense[np.repeat(np.arange(own.shape[0]), np.diff(own.indptr)), place] = own.data
    centroid = dense[long].mean(axis=0)
    pairs = [np.einsum("ij,ij->i", dense, dense[other]) for other in (last, following)]
    return np.stack(
        [*pairs, dense @ dense[long[0]], dense @ (centroid / max(float(np.linalg.norm(centroid)), 1e-9))], axis=1
    )


def _batches(pages: Sequence[Sequence[str]]) -> list[list[Sequence[str]]]:
    batches: list[list[Sequence[str]]] = []
    size = BATCH_SEGMENTS
    for page in pages:
        if size >= BATCH_SEGMENTS:
            batches.append([])
            size = 0
        batches[-1].append(page)
        size += len(page)
    return batches

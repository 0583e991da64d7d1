"""Boosted trees as plain arrays: no pickle, no sklearn internals, every index checked before use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

_ARRAYS = ("baseline", "feature", "threshold", "left", "right", "value", "roots")
_CHUNK_ROWS = 64
MOST_CELLS = 10**9
"""Trees times nodes: a small file must not unfold into gigabytes."""
MOST_LEAVES = 64
"""Of one tree: a bit for each."""


@dataclass(frozen=True)
class Trees:
    """An ensemble of regression trees, one per round and class; a leaf is its own child.

    Args:
        baseline: `[classes]` raw scores before the first tree.
        feature: `[nodes]` feature that a node asks for.
        threshold: `[nodes]` goes left when the feature is not above it.
        left: `[nodes]` node index.
        right: `[nodes]` node index.
        value: `[nodes]` a leaf's contribution.
        roots: `[rounds, classes]` node index of each tree's root.
        depth: Longest path from a root to a leaf.
        features: Number of features of a row.
    """

    baseline: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    roots: np.ndarray
    depth: int
    features: int

    def __post_init__(self) -> None:
        nodes = len(self.feature)
        indices = (self.left, self.right, self.roots)
        inside = (
            all(((i >= 0) & (i < nodes)).all() for i in indices)
            and ((self.feature >= 0) & (self.feature < self.features)).all()
        )
        if (
            not inside
            or not 0 <= self.depth <= 64
            or len({len(a) for a in (self.feature, self.threshold, self.left, self.right, self.value)}) != 1
        ):
            raise ValueError("trees point outside their arrays; do not use this file")
        if not self.roots.size or self.roots.size * len(self.feature) > MOST_CELLS or np.isnan(self.threshold).any():
            raise ValueError("no trees, too many or without thresholds; do not use this file")
        self._questions  # noqa: B018  broken trees are found when they are loaded

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Class probabilities `[n, classes]` of rows `[n, features]`."""
        if rows.shape[1] != self.features:
            raise ValueError(f"rows have {rows.shape[1]} features, the trees were grown on {self.features}")
        raw = np.tile(self.baseline, (len(rows), 1))
        feature, threshold, mask, value = self._questions
        asked, trees = mask.shape[:2]
        one = mask.dtype.type(1)
        for start in range(0, len(rows), _CHUNK_ROWS):
            # Questions first, rows last: every step runs along memory.
            columns = np.ascontiguousarray(rows[start : start + _CHUNK_ROWS].T, dtype=np.float32)
            struck = (columns.take(feature, axis=0) > threshold).reshape(asked, trees, -1).astype(mask.dtype)
            struck -= one  # no bit where the answer is no, else all
            struck |= mask
            left = np.bitwise_and.reduce(struck, axis=0)
            lowest = np.frexp((left & (~left + one)).astype(np.float64))[1] - 1
            leaf_values = value[np.arange(trees)[:, None], lowest]
            raw[start : start + _CHUNK_ROWS] += leaf_values.reshape(*self.roots.shape, -1).sum(axis=0).T
        exponent = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))

    @cached_property
    def _questions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The trees for reading all questions at once (QuickScorer; Lucchese et al. 2015, section 3).

        The leaves of a tree are bits, the leftmost the lowest. A question answered with no strikes out the leaves to
        its left; the lowest bit that remains is the leaf that a walk from the root would reach.

        Returns:
            Features `[questions * trees]`, thresholds float32 `[questions * trees, 1]` (rounded down: rows are float32,
            so that no answer changes), masks `[questions, trees, 1]` and values `[trees, leaves]`.
        """
        trees = [self._leaves_and_questions(int(root)) for root in self.roots.ravel()]
        most_leaves, most_questions = (
            max(len(leaves) for leaves, _ in trees),
            max(1, *(len(asked) for _, asked in trees)),
        )
        shape = (most_questions, len(trees))
        kind = np.uint16 if most_leaves <= 16 else np.uint64
        feature, threshold = np.zeros(shape, np.int64), np.full(shape, np.inf, np.float32)
        mask, value = np.full(shape, np.iinfo(kind).max, kind), np.zeros((len(trees), most_leaves))
        for t, (leaves, asked) in enumerate(trees):
            value[t, : len(leaves)] = self.value[leaves]
            for q, (node, first, count) in enumerate(asked):
                rounded = np.float32(self.threshold[node])
                below = rounded if rounded <= self.threshold[node] else np.nextafter(rounded, np.float32(-np.inf))
                feature[q, t], threshold[q, t] = self.feature[node], below
                mask[q, t] = kind(np.iinfo(kind).max - (((1 << count) - 1) << first))
        return feature.ravel(), threshold.reshape(-1, 1), mask[:, :, None], value

    def _leaves_and_questions(self, root: int) -> tuple[list[int], list[tuple[int, int, int]]]:
        """A tree's leaves from left to right, and its questions: node, first leaf to its left, how many there are."""
        leaves: list[int] = []
        asked: list[tuple[int, int, int]] = []
        first_leaf: dict[int, int] = {}
        path = [(root, False)]
        while path:
            node, left_done = path.pop()
            if self.left[node] == node == self.right[node]:
                leaves.append(node)
            elif left_done:
                asked.append((node, first_leaf[node], len(leaves) - first_leaf[node]))
                path.append((int(self.right[node]), False))
            else:
                if node in first_leaf:
                    raise ValueError("trees run in a circle; do not use this file")
                first_leaf[node] = len(leaves)
                path += [(node, True), (int(self.left[node]), False)]
            if len(leaves) > MOST_LEAVES:
                raise ValueError(f"a tree has more than {MOST_LEAVES} leaves; do not use this file")
        return leaves, asked

    def write(self, path: Path) -> None:
        """Stores the arrays as `.npz`."""
        with path.open("wb") as file:
            np.savez(
                file, **{name: getattr(self, name) for name in _ARRAYS}, sizes=np.array([self.depth, self.features])
            )

    @classmethod
    def load(cls, path: Path) -> Trees:
        """Loads what `write` stored; pickled content is refused."""
        with np.load(path, allow_pickle=False) as file:
            depth, features = (int(size) for size in file["sizes"])
            return cls(**{name: file[name] for name in _ARRAYS}, depth=depth, features=features)

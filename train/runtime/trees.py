"""Boosted trees as plain arrays: no pickle, no sklearn internals, every index checked before use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ARRAYS = ("baseline", "feature", "threshold", "left", "right", "value", "roots")
_CHUNK_ROWS = 2000


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
        inside = all(((i >= 0) & (i < nodes)).all() for i in indices) and ((self.feature >= 0) & (self.feature < self.features)).all()
        if (
            not inside
            or not 0 <= self.depth <= 64
            or len({len(a) for a in (self.feature, self.threshold, self.left, self.right, self.value)}) != 1
        ):
            raise ValueError("trees point outside their arrays; do not use this file")

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Class probabilities `[n, classes]` of rows `[n, features]`."""
        if rows.shape[1] != self.features:
            raise ValueError(f"rows have {rows.shape[1]} features, the trees were grown on {self.features}")
        raw = np.tile(self.baseline, (len(rows), 1))
        flat = self.roots.ravel()
        for start in range(0, len(rows), _CHUNK_ROWS):
            chunk = rows[start : start + _CHUNK_ROWS]
            at = np.broadcast_to(flat, (len(chunk), len(flat)))
            line = np.arange(len(chunk))[:, None]
            for _ in range(self.depth):
                at = np.where(chunk[line, self.feature[at]] <= self.threshold[at], self.left[at], self.right[at])
            raw[start : start + _CHUNK_ROWS] += self.value[at].reshape(len(chunk), *self.roots.shape).sum(axis=1)
        exponent = np.exp(raw - raw.max(axis=1, keepdims=True))
        return np.asarray(exponent / exponent.sum(axis=1, keepdims=True))

    def write(self, path: Path) -> None:
        """Stores the arrays as `.npz`."""
        with path.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in _ARRAYS}, sizes=np.array([self.depth, self.features]))

    @classmethod
    def load(cls, path: Path) -> Trees:
        """Loads what `write` stored; pickled content is refused."""
        with np.load(path, allow_pickle=False) as file:
            depth, features = (int(size) for size in file["sizes"])
            return cls(**{name: file[name] for name in _ARRAYS}, depth=depth, features=features)

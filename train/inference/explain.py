"""Why a TF-IDF baseline says what it says: the features that speak for each state, and those that decided a segment.

The first reading is a linear model, so a feature's contribution is its value times its coefficient, exactly. A second
reading (`baseline.stacking_neighbours`) and the page decoder come after it and are not explained here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.runtime import Labeler
from train.runtime.baseline import SIMILARITY_NAMES, Baseline, coefficients
from train.runtime.captions import CAPTION_NAMES
from train.runtime.decoding import TAGS
from train.runtime.page_features import NUMERIC_NAMES, SURFACE_NAMES
from train.runtime.text import clean


@dataclass(frozen=True)
class Reason:
    """Why a segment reads as one state rather than another.

    Args:
        state: The most probable state of the segment by itself.
        other: The next one.
        probability: Probability of `state`.
        features: `(name, contribution)`, largest first: how much each speaks for `state` against `other` (log odds).
    """

    state: str
    other: str
    probability: float
    features: list[tuple[str, float]]


def feature_names(baseline: Baseline) -> list[str]:
    """Names of the columns of `Baseline.features`."""
    names = [f'"{term}"' for term in baseline.words.get_feature_names_out()]
    names += [f"letters {term!r}" for term in baseline.chars.get_feature_names_out()]
    if baseline.neighbours is not None:
        words = baseline.neighbours.get_feature_names_out()
        names += [f'"{term}" at {offset:+d}' for offset in baseline.offsets for term in words]
    if baseline.numbers:
        names += [*NUMERIC_NAMES, *(CAPTION_NAMES if baseline.captions else ()), *SIMILARITY_NAMES]
        names += [f"{name} at {offset:+d}" for offset in baseline.offsets for name in SURFACE_NAMES]
    return names


def _coefficients(baseline: Baseline) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """As `coefficients`, and the names of the states that training saw."""
    return *coefficients(baseline.linear), [TAGS[k] for k in baseline.linear.classes_]


def top_features(baseline: Baseline, count: int = 15) -> dict[str, list[tuple[str, float]]]:
    """The features that count most towards each state.

    Args:
        baseline: The fitted model.
        count: Number of features to name for each state.

    Returns:
        State -> `(name, coefficient less its mean over states)`, the largest first.
    """
    columns, _, states = _coefficients(baseline)
    relative = (columns - columns.mean(axis=1, keepdims=True)).T
    names = feature_names(baseline)
    return {
        state: [(names[i], float(row[i])) for i in np.argsort(-row, kind="stable")[:count]]
        for state, row in zip(states, relative, strict=True)
    }


class Explainer:
    """Says why a baseline's first reading takes a segment for what it takes it for.

    Args:
        baseline: The model.
    """

    def __init__(self, baseline: Baseline) -> None:
        self.baseline = baseline
        columns, self._intercepts, self._states = _coefficients(baseline)
        self._coefficients = columns.T
        self._names = feature_names(baseline)

    def why(self, texts: Sequence[str], count: int = 5) -> list[Reason]:
        """What decided each segment of a page.

        Args:
            texts: The page's segments.
            count: So many features a segment, by absolute contribution.
        """
        rows = self.baseline.features([[clean(text) for text in texts]]).csr()
        scores = np.asarray(rows @ self._coefficients.T) + self._intercepts
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = odds / odds.sum(axis=1, keepdims=True)
        reasons = []
        for i, order in enumerate(np.argsort(-probabilities, axis=1, kind="stable")):
            first, second = int(order[0]), int(order[1])
            row = rows[i]
            contributions = row.data * (
                self._coefficients[first, row.indices] - self._coefficients[second, row.indices]
            )
            largest = np.argsort(-np.abs(contributions), kind="stable")[:count]
            features = [(self._names[row.indices[k]], float(contributions[k])) for k in largest]
            features.sort(key=lambda item: -item[1])
            reasons.append(Reason(self._states[first], self._states[second], float(probabilities[i, first]), features))
        return reasons


def explainer_of(labeler: Labeler) -> Explainer | None:
    """The explainer of a labeler's model; None where its family has none."""
    return Explainer(labeler.scorer) if isinstance(labeler.scorer, Baseline) else None

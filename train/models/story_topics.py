"""Topics of stories, learnt by logistic regression over the mean vector of each story's segments.

A network's head that learns topics beside roles sees a story as often as it is on a page, and shares its number of steps with the roles: fitted
by itself, to its end, the same linear head is 1.5 points of topic macro-F1 better (configs/README.md, 2026-11-27).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from sklearn.preprocessing import StandardScaler

from train.corpus.page import Page
from train.models.linear import fit_linear
from train.runtime.baseline import coefficients
from train.runtime.reading import TOPIC_WORD_LIMIT, clean, spaced_words

ITERATIONS = 1000


Story = tuple[tuple[str, ...], str]
"""The cleaned segments of a story, and its topic."""


def labelled_stories(pages: Iterable[Page]) -> list[Story]:
    """The stories that have a topic; the same one on several pages counts once. A related segment without a story number is a story of its own."""
    stories: dict[Story, None] = {}
    for page in pages:
        members: dict[tuple[int, str], list[str]] = {}
        for i, s in enumerate(page.segments, start=1):
            if s.topic is not None:
                members.setdefault((-i if s.story is None else s.story, s.topic), []).append(clean(s.text))
        stories |= {(tuple(texts), topic): None for (_, topic), texts in members.items()}
    return list(stories)


def mean_vector(texts: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """The mean of a story's vectors `[segments, width]`, each weighted by its words as the labeler weighs what it says; `[width]`."""
    say = np.clip([spaced_words(text) for text in texts], 1, TOPIC_WORD_LIMIT)
    return np.asarray(np.average(vectors, axis=0, weights=say), np.float32)


def topic_head(means: np.ndarray, labels: np.ndarray, *, c: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A linear head over vectors; of a mean of vectors it says the mean of what it says of each.

    Args:
        means: `[stories, width]`.
        labels: `[stories]` topic indices from 0, each there at least once.
        c: Inverse strength of the l2 penalty, on standardised means.
        seed: Of the solver.

    Returns:
        Weights `[topics, width]` and biases `[topics]`, float32, for vectors as they are.
    """
    scaler = StandardScaler().fit(means)
    weights, biases = coefficients(fit_linear(scaler.transform(means), labels, c, ITERATIONS, seed))
    weights = weights / scaler.scale_[:, None]
    return weights.T.astype(np.float32), (biases - scaler.mean_ @ weights).astype(np.float32)


def topic_indices(stories: Sequence[Story], topics: Sequence[str]) -> np.ndarray:
    """The index in `topics` of each story's topic."""
    index = {topic: i for i, topic in enumerate(topics)}
    return np.array([index[topic] for _, topic in stories], np.int64)

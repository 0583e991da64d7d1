"""Fitting a model's calibration on validation pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from train.corpus.page import Page
from train.evaluation.counts import MIN_WORDS
from train.runtime import Labeler
from train.runtime.calibration import Calibration, tempered
from train.runtime.decoding import role_scores
from train.runtime.text import ROLES, word_count

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.5, 8.0
"""Bounds: on validation pages without a mistake, likelihood alone would make a model infinitely sure."""
MIN_PREDICTIONS = 30
"""A threshold is chosen on so many answers at least: the precision of fewer is chance. A role with fewer is judged by
all it has."""


def calibrate(labeler: Labeler, pages: Sequence[Page], readings: Sequence[Any], *, precision: float) -> Calibration:
    """Chooses temperatures by the likelihood of validation labels, and each role's threshold by its precision.

    Args:
        labeler: The model, not calibrated.
        pages: Labelled validation pages.
        readings: What `labeler.read` yields for them, in the same order.
        precision: The precision that predictions above the threshold are to have.
    """
    scores, gold = _roles(pages, readings)
    temperature = fit_temperature(scores, gold)
    topic_scores, topic_gold = _topics(labeler.topics, pages, readings)
    topic_temperature = fit_temperature(topic_scores, topic_gold) if len(topic_gold) >= MIN_PREDICTIONS else 1.0
    return Calibration(temperature, topic_temperature, thresholds(tempered(scores, temperature), gold, precision))


def fit_temperature(scores: np.ndarray, gold: np.ndarray) -> float:
    """The temperature under which the gold labels are most likely; 1.0 when there are none.

    Args:
        scores: Probabilities, `[n, classes]`.
        gold: Index of each labelled class, `[n]`.
    """
    if not len(gold):
        return 1.0

    def loss(log_temperature: float) -> float:
        probabilities = tempered(scores, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(probabilities[np.arange(len(gold)), gold], 1e-12)).mean())

    minimum = minimize_scalar(loss, bounds=(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE)), method="bounded")
    return round(float(np.exp(minimum.x)), 4)


def thresholds(scores: np.ndarray, gold: np.ndarray, precision: float) -> dict[str, float | None]:
    """Role -> the least confidence from which on its answers are right so often; None when they never are.

    Args:
        scores: Calibrated role probabilities `[n, 3]`.
        gold: Role indices `[n]`.
        precision: Wished share of right answers.
    """
    by_role: dict[str, float | None] = {}
    best = scores.argmax(axis=1)
    for k, role in enumerate(ROLES):
        own = best == k
        order = np.argsort(-scores[own, k], kind="stable")
        confidences, right = scores[own, k][order], (gold[own] == k)[order]
        counts = np.arange(1, len(right) + 1)
        good = (np.cumsum(right) / counts >= precision) & (counts >= min(MIN_PREDICTIONS, len(right)))
        by_role[role] = round(float(confidences[np.flatnonzero(good)[-1]]), 6) if good.any() else None
    return by_role


def _roles(pages: Sequence[Page], readings: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    scores, gold = [], []
    for page, reading in zip(pages, readings, strict=True):
        for segment, row in zip(page.segments, role_scores(reading.scores.posterior), strict=True):
            if word_count(segment.text) >= MIN_WORDS:
                scores.append(row)
                gold.append(ROLES.index(str(segment.role)))
    return np.array(scores).reshape(-1, len(ROLES)), np.array(gold, dtype=int)


def _topics(topics: Sequence[str], pages: Sequence[Page], readings: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Topic scores of predicted stories, and the topic that most of each one's segments have."""
    scores, gold = [], []
    for page, reading in zip(pages, readings, strict=True):
        members: dict[int, Counter[str | None]] = {}
        for segment, story in zip(page.segments, reading.stories, strict=True):
            if story is not None:
                members.setdefault(story, Counter())[segment.topic] += 1
        for story, row in reading.topics.items():
            topic = members[story].most_common(1)[0][0]
            if topic in topics:
                scores.append(row)
                gold.append(topics.index(topic))
    return np.array(scores).reshape(-1, max(1, len(topics))), np.array(gold, dtype=int)

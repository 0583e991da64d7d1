"""How well confidence tells accuracy: expected calibration error, Brier score, coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from train.corpus.page import Page
from train.evaluation.counts import MIN_WORDS
from train.runtime.calibration import tempered
from train.runtime.text import ROLES, word_count

BINS = 15


def reliability(
    pages: Sequence[Page], records: Sequence[Mapping[str, Any]], *, temperature: float = 1.0
) -> dict[str, Any]:
    """How well confidence tells accuracy, over segments of three words or more.

    Args:
        pages: Labelled pages.
        records: `predict`'s records, in the same order.
        temperature: Applied to their scores; that by which they were divided undoes it.

    Returns:
        `ece` (expected calibration error; Naeini, Cooper & Hauskrecht 2015; 15 equal bins), `brier` (sum of squares
        over roles, mean over segments), `bins` of `[confidence, accuracy, segments]` and `coverage`: accuracy of the
        surest 10, 20, … 100 %.
    """
    rows = [
        (gold, [prediction["scores"][role] for role in ROLES])
        for page, record in zip(pages, records, strict=True)
        for gold, prediction in zip(page.segments, record["segments"], strict=True)
        if word_count(gold.text) >= MIN_WORDS
    ]
    gold = np.array([ROLES.index(str(segment.role)) for segment, _ in rows])
    return reliability_of(tempered(np.array([scores for _, scores in rows]).reshape(-1, len(ROLES)), temperature), gold)


def reliability_of(scores: np.ndarray, gold: np.ndarray) -> dict[str, Any]:
    """How well confidence tells accuracy, as `reliability` measures it, from arrays.

    Args:
        scores: Role probabilities, `[n, 3]`.
        gold: Indices of the labelled roles in `ROLES`, `[n]`.

    Returns:
        As `reliability` returns.
    """
    if not len(gold):
        return {"ece": 0.0, "brier": 0.0, "bins": [], "coverage": {}}
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == gold
    where = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        [float(confidence[where == b].mean()), float(right[where == b].mean()), int((where == b).sum())]
        for b in range(BINS)
        if (where == b).any()
    ]
    ece = sum(n * abs(c - a) for c, a, n in bins) / len(gold)
    brier = float(((scores - np.eye(len(ROLES))[gold]) ** 2).sum(axis=1).mean())
    ordered = right[np.argsort(-confidence, kind="stable")]
    coverage = {
        f"{share}%": float(ordered[: max(1, len(ordered) * share // 100)].mean()) for share in range(10, 101, 10)
    }
    return {"ece": ece, "brier": brier, "bins": bins, "coverage": coverage}

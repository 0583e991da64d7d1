"""Overlap of predicted and labelled main text in word 4-grams, as the article-extraction-benchmark measures it."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

_WORD = re.compile(r"\w+")
SHINGLE = 4
TEXT_EVENTS = ("text/p", "text/p/n", "text/r", "text/r/n")


def text_events(gold: str, predicted: str) -> tuple[float, float, float, float]:
    """Precision and recall of the shingles of a page's main text.

    Args:
        gold: The labelled main text.
        predicted: The predicted main text.

    Returns:
        Precision, 1.0 if there is predicted text (else 0.0), recall, 1.0 if there is labelled text (else 0.0): sums of
        these over pages give `text_scores`.
    """
    a, b = _shingles(gold), _shingles(predicted)
    shared = (a & b).total()
    return shared / max(b.total(), 1), float(bool(b)), shared / max(a.total(), 1), float(bool(a))


def text_scores(events: np.ndarray) -> dict[str, np.ndarray]:
    """Main text scores from sums of `text_events` `[…, 4]`: mean precision, mean recall, F1 of the means."""
    precision, recall = (events[..., i] / np.maximum(events[..., i + 1], 1) for i in (0, 2))
    f1 = np.where(precision + recall > 0, 2 * precision * recall / np.maximum(precision + recall, 1e-12), 0.0)
    return {"text/precision": precision, "text/recall": recall, "text/f1": f1}


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text)]
    return (
        Counter(tuple(words[i : i + SHINGLE]) for i in range(max(len(words) - SHINGLE + 1, 1))) if words else Counter()
    )

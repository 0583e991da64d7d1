"""Texts as arrays of code points, so that numpy counts what a Python loop over characters would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

BATCH_CHARS = 1_000_000
"""Texts are worked on in batches of about so many characters: memory stays flat however many there are."""


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Texts in batches of about `BATCH_CHARS` characters."""
    first = size = 0
    for i, text in enumerate(texts):
        size += len(text)
        if size >= BATCH_CHARS:
            yield texts[first : i + 1]
            first, size = i + 1, 0
    if first < len(texts):
        yield texts[first:]


def code_points(text: str) -> np.ndarray:
    """The text's code points, uint32 `[len(text)]`."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@cache
def characters(test: str) -> np.ndarray:
    """For each code point, whether it passes a test of `str`, e.g. `isdigit`; bool `[0x110000]`."""
    passes = getattr(str, test)
    return np.fromiter((passes(chr(i)) for i in range(0x110000)), bool, 0x110000)

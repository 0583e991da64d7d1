"""Numeric features of segments: their surface, their position on the page, their lexical overlap with its running
text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np

from .text import spaced_words

_SENTENCE_ENDS = frozenset(".!?…\"”'’)")
_QUOTE, _BRACKET = re.compile(r'["“”«»]'), re.compile(r"[\[\]{}<>]")
SHAPE_NAMES = (
    "log_words",
    "log_chars",
    "word_length",
    "digit_share",
    "capital_word_share",
    "all_capitals",
    "ends_sentence",
    "starts_capital",
    "sentences",
    "has_colon",
    "has_bar",
    "has_quote",
    "has_bracket",
)
PLACE_NAMES = (
    "segments_before",
    "words_before",
    "log_segments_before",
    "log_segments_after",
    "since_long",
    "until_long",
    "long_words_before",
    "is_repeat",
    "repeats_later",
    "log_page_words",
)
LIKENESS_NAMES = ("like_before", "like_last", "like_next", "like_after", "like_first")
LONG_WORDS = 20
"""A segment of that many words counts as running text when distances to running text are measured."""


def shape(texts: Sequence[str]) -> np.ndarray:
    """What a segment looks like, whatever its words and place.

    Args:
        texts: Cleaned segments of one page.

    Returns:
        float32 `[len(texts), len(SHAPE_NAMES)]`, each value roughly in 0..1.
    """
    digits, capitals = _counts(texts)
    chars = np.array([len(text) for text in texts], np.float64)
    words = np.array(list(map(spaced_words, texts)), np.float64)
    some_chars, some_words = np.maximum(chars, 1), np.maximum(words, 1)
    columns: tuple[Any, ...] = (
        np.log1p(words) / 6,
        np.log1p(chars) / 8,
        np.minimum(chars / some_words, 20) / 20,
        digits / some_chars,
        capitals / some_words,
        [text.isupper() for text in texts],
        [text[-1:] in _SENTENCE_ENDS and n > 3 for text, n in zip(texts, words, strict=True)],
        [text[:1].isupper() for text in texts],
        np.minimum([text.count(". ") + text.count("? ") + text.count("! ") for text in texts], 10) / 10,
        [":" in text for text in texts],
        ["|" in text for text in texts],
        [_QUOTE.search(text) is not None for text in texts],
        [_BRACKET.search(text) is not None for text in texts],
    )
    return np.stack([np.asarray(column, np.float32) for column in columns], axis=1).reshape(
        len(texts), len(SHAPE_NAMES)
    )


def _counts(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Digits of each text, and its words that begin with a capital; `[texts]` each."""
    digits, capitals = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for batch in batches(texts):
        codes = code_points("".join(f" {text}" for text in batch))
        starts = np.cumsum([0, *(len(text) + 1 for text in batch)])[:-1]
        begins = np.concatenate([[False], codes == ord(" ")])[:-1]
        digits.append(np.add.reduceat(characters("isdigit")[codes], starts, dtype=np.int64))
        capitals.append(np.add.reduceat(characters("isupper")[codes] & begins, starts, dtype=np.int64))
    return np.concatenate(digits), np.concatenate(capitals)


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


def place(texts: Sequence[str]) -> np.ndarray:
    """Where each segment stands on its page.

    Args:
        texts: Cleaned segments of one page, in page order.

    Returns:
        float32 `[len(texts), len(PLACE_NAMES)]`, each value roughly in 0..1.
    """
    n = len(texts)
    rows = np.zeros((n, len(PLACE_NAMES)), dtype=np.float32)
    if not n:
        return rows
    words = np.array(list(map(spaced_words, texts)), dtype=np.float64)
    is_long = words >= LONG_WORDS
    long_words = np.where(is_long, words, 0)
    index = np.arange(n)
    last_long = np.maximum.accumulate(np.where(is_long, index, -1))
    next_long = np.minimum.accumulate(np.where(is_long, index, 2 * n)[::-1])[::-1]
    folded = [text.casefold() for text in texts]
    counts: dict[str, int] = {}
    seen = np.zeros(n)
    for i, text in enumerate(folded):
        seen[i] = counts.get(text, 0) > 0
        counts[text] = counts.get(text, 0) + 1
    later = np.array([counts[text] > 1 for text in folded]) & (seen == 0)
    columns = (
        index / n,
        (words.cumsum() - words) / max(words.sum(), 1),
        np.log1p(index) / 6,
        np.log1p(n - 1 - index) / 6,
        np.log1p(np.where(last_long >= 0, index - last_long, 50)) / 4,
        np.log1p(np.where(next_long < n, next_long - index, 50)) / 4,
        (long_words.cumsum() - long_words) / max(long_words.sum(), 1),
        seen,
        later,
        np.full(n, np.log1p(words.sum()) / 9),
    )
    return np.stack(columns, axis=1).astype(np.float32)


NEAR = 3
"""So many segments of running text to each side are "last" and "next"."""
_TELLING = re.compile(r"\w{5,}")
"""Words of five letters or more tell what a text is about; shorter ones mostly hold it together."""


def likeness(texts: Sequence[str]) -> np.ndarray:
    """How many of a segment's telling words the running text around it uses: where that breaks off, another story
    begins.

    Args:
        texts: Cleaned segments of one page, in page order.

    Returns:
        float32 `[len(texts), len(LIKENESS_NAMES)]`: the share of the segment's telling words that all running text
        before it uses, the last three long segments, the next three, all after it, and the page's first long segment.
    """
    n = len(texts)
    rows = np.zeros((n, len(LIKENESS_NAMES)), dtype=np.float32)
    ids: dict[str, int] = {}
    words = [[ids.setdefault(word, len(ids)) for word in set(_TELLING.findall(text.casefold()))] for text in texts]
    own = np.array(list(map(len, words)), np.int64)
    if not ids:
        return rows
    # One entry for each telling word of each segment, word by word and within a word in page order.
    word, segment = np.fromiter(chain.from_iterable(words), np.int64, own.sum()), np.repeat(np.arange(n), own)
    order = np.argsort(word, kind="stable")
    word, segment = word[order], segment[order]
    is_long = np.array([spaced_words(text) >= LONG_WORDS for text in texts])
    passed = np.cumsum(is_long) - is_long  # long segments before each
    long, rank = is_long[segment], passed[segment]
    # The nearest long segments before and after that use the word, by their number; the gap keeps words apart.
    gap = 2 * n + 4
    seen = np.maximum.accumulate(word * gap + np.where(long, rank + 1, 0))
    before = np.concatenate([[-1], seen[:-1]]) - word * gap - 1
    coming = np.minimum.accumulate((word * gap + np.where(long, rank, gap - 1))[::-1])[::-1]
    after = np.concatenate([coming[1:], [coming[-1] + gap]]) - word * gap
    after = np.where(after >= n, gap, after)
    in_first = np.zeros(len(ids), bool)
    in_first[word[long & (rank == 0)]] = True
    is_first = long & (rank == 0)
    shared = (
        before >= 0,
        (before >= 0) & (before >= rank - NEAR),
        after < rank + long + NEAR,
        after < gap,
        in_first[word] & ~is_first,
    )
    for column, found in enumerate(shared):
        rows[:, column] = np.bincount(segment[found], minlength=n) / np.maximum(own, 1)
    return rows


def numbers(texts: Sequence[str]) -> np.ndarray:
    """Everything countable about the segments of one page: shape, place, likeness; float32 `[len(texts),
    len(NUMBER_NAMES)]`."""
    return np.hstack([shape(texts), place(texts), likeness(texts)])


NUMBER_NAMES = (*SHAPE_NAMES, *PLACE_NAMES, *LIKENESS_NAMES)

"""Numeric features of segments: their surface, their position on the page, their lexical overlap with its running
text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from .code_points import batches, characters, code_points
from .text import spaced_words

LONG_WORDS = 20
"""A segment of that many words counts as running text when distances to running text are measured."""
_SENTENCE_ENDS = frozenset(".!?…\"”'’)")
_QUOTE, _BRACKET = re.compile(r'["“”«»]'), re.compile(r"[\[\]{}<>]")
SURFACE_NAMES = (
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


def surface_features(texts: Sequence[str]) -> np.ndarray:
    """What a segment looks like, whatever its words and its position.

    Args:
        texts: Cleaned segments of one page.

    Returns:
        float32 `[len(texts), len(SURFACE_NAMES)]`, each value roughly in 0..1.
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
        len(texts), len(SURFACE_NAMES)
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


POSITION_NAMES = (
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


def position_features(texts: Sequence[str]) -> np.ndarray:
    """Where each segment stands on its page, and how far the running text is.

    Args:
        texts: Cleaned segments of one page, in page order.

    Returns:
        float32 `[len(texts), len(POSITION_NAMES)]`, each value roughly in 0..1.
    """
    n = len(texts)
    rows = np.zeros((n, len(POSITION_NAMES)), dtype=np.float32)
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


OVERLAP_NAMES = ("like_before", "like_last", "like_next", "like_after", "like_first")
NEAR = 3
"""How many long segments to each side are "last" and "next"."""
_CONTENT_WORD = re.compile(r"\w{5,}")
"""Words of five letters or more carry what a text is about; shorter ones mostly hold it together."""


def lexical_overlap(texts: Sequence[str]) -> np.ndarray:
    """Which share of a segment's content words the running text around it uses: where that drops, another story begins
    (cf. TextTiling, Hearst 1997).

    For a segment with the content words W and a stretch of long segments with the words T it is |W ∩ T| / |W|, 0 where
    W is empty.

    Args:
        texts: Cleaned segments of one page, in page order.

    Returns:
        float32 `[len(texts), len(OVERLAP_NAMES)]`: the overlap with all long segments before, the last three, the next
        three, all after, and the page's first long segment.
    """
    n = len(texts)
    rows = np.zeros((n, len(OVERLAP_NAMES)), dtype=np.float32)
    ids: dict[str, int] = {}
    words = [[ids.setdefault(word, len(ids)) for word in set(_CONTENT_WORD.findall(text.casefold()))] for text in texts]
    own = np.array(list(map(len, words)), np.int64)
    if not ids:
        return rows
    # One entry for each content word of each segment, word by word and within a word in page order.
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
    used = (
        before >= 0,
        (before >= 0) & (before >= rank - NEAR),
        after < rank + long + NEAR,
        after < gap,
        in_first[word] & ~is_first,
    )
    for column, uses in enumerate(used):
        rows[:, column] = np.bincount(segment[uses], minlength=n) / np.maximum(own, 1)
    return rows


NUMERIC_NAMES = (*SURFACE_NAMES, *POSITION_NAMES, *OVERLAP_NAMES)


def numeric_features(texts: Sequence[str]) -> np.ndarray:
    """The surface features, position features and lexical overlap of the cleaned segments of one page, in page order;
    float32 `[len(texts), len(NUMERIC_NAMES)]`."""
    return np.hstack([surface_features(texts), position_features(texts), lexical_overlap(texts)])

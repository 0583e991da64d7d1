"""Word and character n-grams of many texts at once, with numpy instead of a Python loop over each text.

Gives what scikit-learn's `TfidfVectorizer` gives (analyzers `word` and `char_wb`), several times faster: all texts are
one array of code points, every n-gram is a substring of it, and a substring's hash follows from two prefix sums (Karp &
Rabin 1987), so that no n-gram is ever a Python string. A vocabulary is looked up by these 64-bit hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from .code_points import batches, characters, code_points

BASE = 0x9E3779B97F4A7C15
"""Odd, so that it can be divided by modulo 2^64."""
INVERSE = pow(BASE, -1, 1 << 64)
SPACE, NEWLINE, NEWLINE_TEXT = 32, 10, "\n"
LONGEST = 10
"""Characters of an n-gram."""


@dataclass(frozen=True)
class Grams:
    """The n-grams of some texts, in no fixed order.

    Args:
        rows: Text of each n-gram, `[grams]`.
        hashes: uint64 `[grams]`; the same n-gram has the same hash in every text.
        starts: Where each one starts in `codes`.
        ends: Where it ends; of two words, where the second ends.
        codes: Code points of all texts, uint32.
    """

    rows: np.ndarray
    hashes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    codes: np.ndarray


class _Powers:
    """Powers of BASE and of its inverse; both arrays change at once, and only grow: servers label in several
    threads."""

    def __init__(self) -> None:
        self._both = (np.ones(1, np.uint64), np.ones(1, np.uint64))

    def at_least(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        both = self._both
        if len(both[0]) < size:
            size = max(size, 2 * len(both[0]))
            with np.errstate(over="ignore"):
                up, down = (
                    np.concatenate([np.ones(1, np.uint64), np.cumprod(np.full(size - 1, f, np.uint64))])
                    for f in (BASE, INVERSE)
                )
            both = up, down
            if len(self._both[0]) < size:
                self._both = both
        return both


_POWERS = _Powers()


class _Text:
    """Texts as code points, with the hash of every substring at hand."""

    def __init__(self, text: str) -> None:
        self.codes = code_points(text)
        self._up, self._down = _POWERS.at_least(len(self.codes) + 2)
        # Code point + 1: else a run of zeros would hash like none.
        self._sums = np.concatenate(
            [np.zeros(1, np.uint64), np.cumsum((self.codes.astype(np.uint64) + 1) * self._up[: len(self.codes)])]
        )

    def hashes(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Of the substrings from `starts` to before `ends`."""
        return np.asarray((self._sums[ends] - self._sums[starts]) * self._down[starts])

    def joined(
        self, starts: np.ndarray, ends: np.ndarray, next_starts: np.ndarray, next_ends: np.ndarray
    ) -> np.ndarray:
        """Of two substrings with a space between them, wherever they stand."""
        length = ends - starts
        space = np.uint64(SPACE + 1) * self._up[length]
        return np.asarray(
            self.hashes(starts, ends) + space + self.hashes(next_starts, next_ends) * self._up[length + 1]
        )


def word_grams(texts: Sequence[str], longest: int) -> Grams:
    r"""Words of two letters or more (`\b\w\w+\b`), and with `longest` 2 the pairs of words that follow each other.

    Args:
        texts: The texts.
        longest: 1 for words alone, 2 for pairs too.
    """
    text = _Text("".join(f"{text.replace(NEWLINE_TEXT, ' ')}\n" for text in texts).lower())
    inside = characters("isalnum")[text.codes] | (text.codes == ord("_"))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]])))
    starts, ends = edges[::2], edges[1::2]
    kept = ends - starts >= 2
    starts, ends = starts[kept], ends[kept]
    rows = _text_of(text.codes, starts, len(texts))
    parts = [(rows, text.hashes(starts, ends), starts, ends)]
    if longest > 1:
        pair = np.flatnonzero(rows[1:] == rows[:-1])
        pairs = text.joined(starts[pair], ends[pair], starts[pair + 1], ends[pair + 1])
        parts.append((rows[pair], pairs, starts[pair], ends[pair + 1]))
    rows, hashes, starts, ends = map(np.concatenate, zip(*parts, strict=True))
    return Grams(rows, hashes, starts, ends, text.codes)


def char_grams(texts: Sequence[str], shortest: int, longest: int) -> tuple[Grams, sp.csr_matrix]:
    """Runs of characters within words, a space before and after each word taken as theirs.

    Args:
        texts: The texts.
        shortest: Length of the shortest n-gram, in characters.
        longest: Length of the longest n-gram, in characters.

    Returns:
        The n-grams of the distinct words (their rows are words), and how often each text has each word, `[texts,
        words]`.
    """
    text = _Text("".join(f" {' '.join(text.lower().split())} \n" for text in texts))
    spaces = np.flatnonzero(text.codes == SPACE)
    # Each word from the space before it to the one after it; between two spaces that stand together, or with a line
    # end, is none.
    opening, closing = spaces[:-1], spaces[1:] + 1
    inside = (closing - opening > 2) & (text.codes[opening + 1] != NEWLINE) if len(spaces) else np.zeros(0, bool)
    opening, closing = opening[inside], closing[inside]
    rows = _text_of(text.codes, opening, len(texts))
    _, first, word = np.unique(text.hashes(opening, closing), return_index=True, return_inverse=True)
    of_text = sp.coo_matrix((np.ones(len(rows), np.float32), (rows, word)), shape=(len(texts), len(first))).tocsr()
    opening, closing = opening[first], closing[first]
    lengths = closing - opening
    parts = []
    for n in range(shortest, longest + 1):
        # A word shorter than the shortest n-gram counts once, as a whole.
        fits = np.flatnonzero(lengths >= n) if n > shortest else np.arange(len(lengths))
        count = np.maximum(lengths[fits] - n + 1, 1)
        starts = np.repeat(opening[fits], count) + _counted(count)
        parts.append((np.repeat(fits, count), starts, np.minimum(starts + n, np.repeat(closing[fits], count))))
    words, starts, ends = map(np.concatenate, zip(*parts, strict=True))
    return Grams(words, text.hashes(starts, ends), starts, ends, text.codes), of_text


def _counted(counts: np.ndarray) -> np.ndarray:
    """0 to count - 1, for each count."""
    total = np.cumsum(counts)
    return np.asarray(np.arange(total[-1] if len(total) else 0) - np.repeat(total - counts, counts))


def _text_of(codes: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """Which text each place lies in."""
    ends = np.flatnonzero(codes == NEWLINE)
    assert len(ends) == count, "texts hold no line ends"
    return np.searchsorted(ends, places)


_MIX = np.uint64(0xBF58476D1CE4E5B9)
"""Spreads hashes of short terms over all bits (multiplicative hashing, Knuth, section 6.4; a factor of SplitMix64)."""


@dataclass(frozen=True)
class Vectoriser:
    """A fitted `TfidfVectorizer` (sublinear term frequency, l2 norm) as a table of hashes.

    Args:
        analyzer: `word` or `char_wb`.
        shortest: Length of the shortest n-gram; 1 for words.
        longest: Length of the longest n-gram.
        hashes: Hash of each term of the vocabulary, uint64 `[terms]`.
        columns: Column of each term, int32 `[terms]`.
        idf: Inverse document frequency of each column, float32 `[columns]`.
    """

    analyzer: str
    shortest: int
    longest: int
    hashes: np.ndarray
    columns: np.ndarray
    idf: np.ndarray

    @classmethod
    def of(cls, fitted: Any) -> Vectoriser:
        """Takes the vocabulary and the weights of scikit-learn's."""
        shortest, longest = fitted.ngram_range
        known = (
            1 <= shortest <= longest <= LONGEST
            if fitted.analyzer == "char_wb"
            else fitted.analyzer == "word" and (shortest, longest) in ((1, 1), (1, 2))
        )
        if not known or not (fitted.sublinear_tf and fitted.lowercase and fitted.norm == "l2" and fitted.use_idf):
            raise ValueError(f"a vectoriser of another kind than this version fits: {fitted}; train again")
        names = list(fitted.vocabulary_)
        columns = np.fromiter(fitted.vocabulary_.values(), np.int32, len(names))
        weights = np.asarray(fitted.idf_, np.float32)
        if not np.array_equal(np.sort(columns), np.arange(len(weights))) or not np.isfinite(weights).all():
            raise ValueError("words and weights that do not fit each other; do not use this file")
        return cls(fitted.analyzer, shortest, longest, term_hashes(names), columns, weights)

    def transform(self, texts: Sequence[str]) -> sp.csr_matrix:
        """TF-IDF rows, CSR float32 `[texts, columns]`, each of length 1 or empty."""
        return transform_each([self], texts)[0]

    @cached_property
    def _buckets(self) -> tuple[np.uint64, np.ndarray, np.ndarray, np.ndarray]:
        """Terms by the upper bits of their mixed hashes, about four buckets a term: how far to shift, where each bucket
        begins, hashes, columns."""
        bits = max(1, (4 * len(self.hashes)).bit_length())
        shift = np.uint64(64 - bits)
        mixed = self.hashes * _MIX
        order = np.argsort(mixed)
        starts = np.searchsorted(mixed[order] >> shift, np.arange(2**bits + 1, dtype=np.uint64)).astype(np.int32)
        return shift, starts, self.hashes[order], self.columns[order]

    def _columns_of(self, grams: Grams) -> np.ndarray:
        shift, starts, hashes, columns = self._buckets
        bucket = ((grams.hashes * _MIX) >> shift).astype(np.int64)
        at, end = starts[bucket], starts[bucket + 1]
        columns_of = np.full(len(bucket), -1, np.int32)
        left = np.flatnonzero(at < end)
        at, end = at[left], end[left]
        while len(left):
            same = hashes[at] == grams.hashes[left]
            columns_of[left[same]] = columns[at[same]]
            at = at + 1
            more = ~same & (at < end)
            left, at, end = left[more], at[more], end[more]
        return columns_of

    def weighted(self, texts: int, grams: Grams, of_text: sp.csr_matrix | None) -> sp.csr_matrix:
        """TF-IDF rows of texts whose n-grams are known, CSR float32 `[texts, columns]`.

        Args:
            texts: The number of texts.
            grams: Their n-grams, or those of their words.
            of_text: How often each text has each word, `[texts, words]`, in the latter case; else None.
        """
        counts = counted(texts, grams, of_text, self._columns_of(grams), len(self.idf))
        counts.sort_indices()
        data = (np.log(counts.data) + 1) * self.idf[counts.indices]
        squares = np.concatenate([[0.0], np.cumsum(data.astype(np.float64) ** 2)])
        norms = np.sqrt(np.diff(squares[counts.indptr]))
        counts.data = (data / np.repeat(np.where(norms > 0, norms, 1.0), np.diff(counts.indptr))).astype(np.float32)
        return counts


def transform_each(vectorisers: Sequence[Vectoriser], texts: Sequence[str]) -> list[sp.csr_matrix]:
    """TF-IDF rows of the same texts by several vectorisers; the texts are cut into n-grams once.

    Args:
        vectorisers: Vectorisers of words, or a single one of characters.
        texts: The texts.

    Returns:
        CSR float32 `[texts, columns]` of each vectoriser.
    """
    first = vectorisers[0]
    longest = max(vectoriser.longest for vectoriser in vectorisers)
    parts: list[list[sp.csr_matrix]] = (
        [[sp.csr_matrix((0, len(v.idf)), dtype=np.float32) for v in vectorisers]] if not texts else []
    )
    for batch in batches(texts):
        grams, of_text = grams_of(batch, first.analyzer, first.shortest, longest)
        parts.append([vectoriser.weighted(len(batch), grams, of_text) for vectoriser in vectorisers])
    return [own[0] if len(own) == 1 else sp.vstack(own, format="csr") for own in zip(*parts, strict=True)]


def grams_of(texts: Sequence[str], analyzer: str, shortest: int, longest: int) -> tuple[Grams, sp.csr_matrix | None]:
    """The n-grams of texts by an analyzer.

    Args:
        texts: The texts.
        analyzer: `word` or `char_wb`.
        shortest: Length of the shortest n-gram; 1 for words.
        longest: Length of the longest n-gram.

    Returns:
        As `char_grams` returns; for words, the n-grams of the texts themselves and None.
    """
    return (word_grams(texts, longest), None) if analyzer == "word" else char_grams(texts, shortest, longest)


def counted(texts: int, grams: Grams, of_text: sp.csr_matrix | None, columns: np.ndarray, width: int) -> sp.csr_matrix:
    """How often each text has each n-gram, CSR float32 `[texts, width]`.

    Args:
        texts: The number of texts.
        grams: Their n-grams, or those of their words.
        of_text: How often each text has each word, in the latter case.
        columns: Column of each n-gram; -1 for those not to be counted.
        width: The number of columns.
    """
    known = columns >= 0
    shape = (texts if of_text is None else of_text.shape[1], width)
    # Converting sums what stands at the same place: that is the count.
    counts = sp.coo_matrix((np.ones(known.sum(), np.float32), (grams.rows[known], columns[known])), shape=shape).tocsr()
    return counts if of_text is None else of_text @ counts


def term_hashes(terms: Sequence[str]) -> np.ndarray:
    """Hashes of terms as they stand in a vocabulary, uint64 `[terms]`."""
    text = _Text("".join(terms))
    lengths = np.array([len(term) for term in terms], np.int64)
    ends = np.cumsum(lengths)
    return text.hashes(ends - lengths, ends)

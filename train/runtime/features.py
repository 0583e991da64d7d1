"""The features of the first reading, kept in parts: what many segments share is kept, and multiplied, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp


@dataclass(frozen=True)
class Features:
    """A matrix `[segments, features]` that is never built: words, characters, the words of each neighbour, numbers.

    A text that several segments hold is one row of the sparse parts. A neighbour's words are its own row, seen from
    elsewhere: their product with the coefficients of an offset is computed where they stand, and its few columns are
        shifted.

    Args:
        words: TF-IDF of words, CSR float32 `[texts, words]`.
        chars: TF-IDF of character n-grams, CSR float32 `[texts, n-grams]`.
        around: TF-IDF of the words a neighbour is read by, or None.
        place: Text of each segment, `[segments]`.
        numbers: float32 `[segments, numbers]`, or None.
        lengths: Segments of each page.
        offsets: Positions of the neighbours, relative to the segment.
    """

    words: sp.csr_matrix
    chars: sp.csr_matrix
    around: sp.csr_matrix | None
    place: np.ndarray
    numbers: np.ndarray | None
    lengths: Sequence[int]
    offsets: Sequence[int]

    @property
    def shape(self) -> tuple[int, int]:
        """Segments and features."""
        return len(self.place), sum(self._widths())

    def _widths(self) -> list[int]:
        around = [] if self.around is None else [self.around.shape[1]] * len(self.offsets)
        return [self.words.shape[1], self.chars.shape[1], *around, 0 if self.numbers is None else self.numbers.shape[1]]

    def csr(self) -> sp.csr_matrix:
        """The matrix, built."""
        blocks: list[Any] = [self.words[self.place], self.chars[self.place]]
        if self.around is not None:
            blocks += [shifted(self.around[self.place], offset, self.lengths) for offset in self.offsets]
        if self.numbers is not None:
            blocks.append(sp.csr_matrix(self.numbers))
        return sp.hstack(blocks, format="csr", dtype=np.float32)

    def dot(self, coefficients: np.ndarray) -> np.ndarray:
        """`[segments, k]`: the product with float32 `[features, k]`."""
        words, chars, around, numbers = self._split(coefficients)
        product = (self.words @ words + self.chars @ chars)[self.place]
        if self.around is not None and self.offsets:
            seen = (self.around @ np.concatenate(list(around), axis=1))[self.place]
            for offset, part in zip(self.offsets, np.split(seen, len(self.offsets), axis=1), strict=True):
                product += shifted(part, offset, self.lengths)
        if self.numbers is not None:
            product += self.numbers @ numbers
        return np.asarray(product)

    def transposed_dot(self, values: np.ndarray) -> np.ndarray:
        """float32 `[features, k]`: the product of the transposed matrix with `[segments, k]`."""
        words, chars, around, gather = self._transposed
        values = values.astype(np.float32, copy=False)
        own = gather @ values
        parts = [words @ own, chars @ own]
        if around is not None and self.offsets:
            seen = gather @ np.concatenate([shifted(values, -offset, self.lengths) for offset in self.offsets], axis=1)
            parts += np.split(around @ seen, len(self.offsets), axis=1)
        if self.numbers is not None:
            parts.append(self.numbers.T @ values)
        return np.concatenate(parts)

    def of_pages(self, kept: Sequence[int] | np.ndarray) -> Features:
        """The rows of some pages, in order."""
        starts = np.concatenate([[0], np.cumsum(self.lengths)])
        rows = (
            np.concatenate([np.arange(starts[page], starts[page + 1]) for page in kept])
            if len(kept)
            else np.zeros(0, np.int64)
        )
        texts, place = np.unique(self.place[rows], return_inverse=True)
        return Features(
            self.words[texts],
            self.chars[texts],
            None if self.around is None else self.around[texts],
            place,
            None if self.numbers is None else self.numbers[rows],
            [self.lengths[page] for page in kept],
            self.offsets,
        )

    def _split(self, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        words, chars, *around, numbers = np.split(coefficients, np.cumsum(self._widths())[:-1])
        return words, chars, np.array(around), numbers

    @cached_property
    def _transposed(self) -> tuple[Any, Any, Any, Any]:
        """Each part turned over, which makes its product walk along memory; and the matrix that sums segments by
        text."""
        parts = (None if part is None else part.T.tocsr() for part in (self.words, self.chars, self.around))
        total = len(self.place)
        gather = sp.csr_matrix(
            (np.ones(total, np.float32), (self.place, np.arange(total))), shape=(self.words.shape[0], total)
        )
        return (*parts, gather)


def shifted(rows: Any, offset: int, lengths: Sequence[int]) -> Any:
    """Moves rows along each page: row i becomes the row of i + offset on the same page, zero where the page has none.

    Args:
        rows: A dense array or CSR matrix, `[segments, …]`.
        offset: The position of the neighbour relative to the segment.
        lengths: The number of segments of each page.
    """
    total = rows.shape[0]
    if len(lengths) == 1 and isinstance(rows, np.ndarray):
        moved = np.zeros_like(rows)
        if abs(offset) < total:
            moved[max(-offset, 0) : total - max(offset, 0)] = rows[max(offset, 0) : total - max(-offset, 0)]
        return moved
    source = np.arange(total) + offset
    page = np.repeat(np.arange(len(lengths)), lengths)
    inside = (source >= 0) & (source < total)
    inside[inside] = page[source[inside]] == page[inside]
    if isinstance(rows, np.ndarray):
        moved = np.zeros_like(rows)
        moved[inside] = rows[source[inside]]
        return moved
    pick = sp.csr_matrix(
        (np.ones(inside.sum(), dtype=np.float32), (np.flatnonzero(inside), source[inside])), shape=(total, total)
    )
    return pick @ rows

"""Packing a page into windows of tokens: a marker before each segment, pages cut where a segment ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .reading import numbers


@dataclass(frozen=True)
class WindowPlan:
    """How pages become windows.

    Args:
        tokens: Longest window, markers and the closing token included.
        overlap: Share of a window that the next one reads again.
        head: Tokens kept from a segment's beginning.
        tail: Tokens kept from its end when it is longer than head + tail.
        marker: Token id put before each segment (as BertSum does, Liu & Lapata 2019, section 3.1); the segment's scores are read there.
        closing: Token id that ends a window.
        pad: Token id of padding.
    """

    tokens: int
    overlap: float
    head: int
    tail: int
    marker: int
    closing: int
    pad: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for the bundle's manifest."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Window:
    """A run of segments of one page, packed.

    Args:
        page: Index of the page.
        first: Index of its first segment on the page.
        input_ids: `[length]` token ids.
        markers: `[segments]` positions of the markers in `input_ids`.
        numbers: float32 `[segments, features]` what the window cannot see: its shape, place and likeness.
    """

    page: int
    first: int
    input_ids: np.ndarray
    markers: np.ndarray
    numbers: np.ndarray


def pack(pages: Sequence[Sequence[str]], tokenizer: Any, plan: WindowPlan) -> Iterator[Window]:
    """Cuts pages into windows, in page order. Every segment is in at least one window; an empty page in none.

    Args:
        pages: Cleaned segments, page by page.
        tokenizer: A `tokenizers.Tokenizer`, without truncation and padding.
        plan: How.
    """
    for index, page in enumerate(pages):
        encodings = tokenizer.encode_batch(list(page), add_special_tokens=False)
        ids = [_kept(encoding.ids, plan) for encoding in encodings]
        page_numbers = numbers(page)
        for first, last in spans([len(i) + 1 for i in ids], plan):
            packed: list[int] = []
            markers = []
            for i in range(first, last):
                markers.append(len(packed))
                packed += [plan.marker, *ids[i]]
            packed.append(plan.closing)
            yield Window(index, first, np.array(packed, np.int64), np.array(markers, np.int64), page_numbers[first:last])


def _kept(ids: list[int], plan: WindowPlan) -> list[int]:
    if len(ids) <= plan.head + plan.tail:
        return ids
    return ids[: plan.head] + (ids[-plan.tail :] if plan.tail else [])


def spans(costs: Sequence[int], plan: WindowPlan) -> Iterator[tuple[int, int]]:
    """Yields `(first, last + 1)` of each window over segments that cost so many tokens each."""
    room, total, first = plan.tokens - 1, len(costs), 0
    while first < total:
        last, used = first, 0
        while last < total and used + costs[last] <= room:
            used += costs[last]
            last += 1
        yield first, last
        if last == total:
            return
        again, shared = last, 0
        while again - 1 > first and shared + costs[again - 1] <= plan.overlap * plan.tokens:
            again -= 1
            shared += costs[again]
        first = again


def collate(windows: Sequence[Window], plan: WindowPlan) -> dict[str, np.ndarray]:
    """Pads windows into one batch.

    Returns:
        `input_ids` and `attention_mask` int64 `[batch, length]`, `numbers` float32 `[batch, length, features]` (zero but at
        markers) and `is_marker` float32 `[batch, length]`.
    """
    length = max(len(w.input_ids) for w in windows)
    ids = np.full((len(windows), length), plan.pad, np.int64)
    mask = np.zeros((len(windows), length), np.int64)
    is_marker = np.zeros((len(windows), length), np.float32)
    numbers = np.zeros((len(windows), length, windows[0].numbers.shape[1]), np.float32)
    for row, w in enumerate(windows):
        ids[row, : len(w.input_ids)] = w.input_ids
        mask[row, : len(w.input_ids)] = 1
        is_marker[row, w.markers] = 1
        numbers[row, w.markers] = w.numbers
    return {"input_ids": ids, "attention_mask": mask, "is_marker": is_marker, "numbers": numbers}


def batches(windows: Iterable[Window], batch_tokens: int) -> Iterator[list[Window]]:
    """Groups windows of like length, so that padding is little; a batch holds at most `batch_tokens` padded tokens."""
    batch: list[Window] = []
    for window in sorted(windows, key=lambda w: -len(w.input_ids)):
        if batch and (len(batch) + 1) * len(batch[0].input_ids) > batch_tokens:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch

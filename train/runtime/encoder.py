"""The encoder at work: every segment becomes a vector by itself, then one network reads the whole page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .captions import CAPTION_NAMES, captions
from .onnx import INT8, load_tokenizer, onnx_session
from .page_features import NUMERIC_NAMES, numeric_features

BATCH_TOKENS = 1024
SEGMENT_FILES = ("segments.onnx", "tokenizer.json")
PAGE_FILE = "page.onnx"
COUNTED_NAMES = (*NUMERIC_NAMES, *CAPTION_NAMES)
"""What the page network is told of a segment beside its vector. New names go to the end: older bundles read the first
ones alone."""
Embed = Callable[[np.ndarray, np.ndarray], np.ndarray]
Read = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SegmentPlan:
    """How a segment becomes tokens.

    Args:
        head: Tokens kept from its beginning.
        tail: Tokens kept from its end when it is longer than head + tail.
        opening: Token id put before them.
        closing: Token id put after them.
        pad: Token id of padding.
    """

    head: int
    tail: int
    opening: int
    closing: int
    pad: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for the bundle's manifest."""
        return asdict(self)

    def ids(self, texts: Sequence[str], tokenizer: Any) -> list[list[int]]:
        """Token ids of each text, with the opening and closing token around them.

        Args:
            texts: Cleaned texts.
            tokenizer: A `tokenizers.Tokenizer`.
        """
        ids = []
        for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
            kept = encoding.ids
            if len(kept) > self.head + self.tail:
                kept = kept[: self.head] + (kept[-self.tail :] if self.tail else [])
            ids.append([self.opening, *kept, self.closing])
        return ids


@dataclass
class Encoder:
    """The encoder behind any engine.

    Args:
        embed: Maps token ids and attention mask, int64 `[batch, length]`, to vectors float32 `[batch, width]`; with
            topics, to `[batch, width + topics]`, of which the last are topic logits.
        read: Maps a page's vectors float32 `[n, width]` and numbers float32 `[n, features]` to state probabilities `[n,
            4]`.
        tokenizer: A `tokenizers.Tokenizer`.
        plan: How segments become tokens.
        topics: Topic names in the order of the scores; empty without topics.
        page_by_page: Never read two pages in one batch. int8 activations share a scale within a batch, so that its
            other pages would sway a page's answer.
    """

    embed: Embed
    read: Read
    tokenizer: Any
    plan: SegmentPlan
    topics: tuple[str, ...]
    page_by_page: bool = False

    @classmethod
    def load(cls, folder: Path, manifest: dict[str, Any], *, threads: int | None = None, int8: bool = False) -> Encoder:
        """Loads a bundle's two ONNX models and its tokenizer.

        Args:
            folder: The bundle's folder.
            manifest: The bundle's manifest, as `read_manifest` returns it.
            threads: The number of threads of each model; None takes the cores at hand.
            int8: Load the int8 twin of the model that embeds segments.
        """
        segments, page = (
            onnx_session(folder / name, threads)
            for name in (f"segments{INT8}" if int8 else SEGMENT_FILES[0], PAGE_FILE)
        )

        def embed(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
            return np.asarray(segments.run(None, {"input_ids": ids, "attention_mask": mask})[0])

        # Bundles made before some numbers were told read the first ones alone.
        known = next(int(given.shape[-1]) for given in page.get_inputs() if given.name == "numbers")

        def read(vectors: np.ndarray, page_numbers: np.ndarray) -> np.ndarray:
            return np.asarray(
                page.run(None, {"vectors": vectors[None], "numbers": page_numbers[None, :, :known]})[0][0]
            )

        tokenizer, plan = load_tokenizer(folder / SEGMENT_FILES[1]), SegmentPlan(**manifest["segments"])
        return cls(embed, read, tokenizer, plan, tuple(manifest["topics"]), int8)

    def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """Scores of every segment.

        Args:
            pages: Cleaned segments, page by page.

        Returns:
            State probabilities `[n, 4]` page by page, and topic logits `[n, topics]` page by page (None without
            topics).
        """
        if self.page_by_page and len(pages) > 1:
            return self._one_by_one(pages)
        # Menus and teasers repeat, on a page and from page to page: each text is read once.
        place = {text: i for i, text in enumerate(dict.fromkeys(text for page in pages for text in page))}
        vectors = self.vectors(list(place))
        width = vectors.shape[1] - len(self.topics)
        states, topics = [], []
        for page in pages:
            if not page:
                states.append(np.zeros((0, 4)))
                topics.append(np.zeros((0, len(self.topics))))
                continue
            rows = vectors[[place[text] for text in page]]
            states.append(self.read(rows[:, :width], counted(page)).astype(np.float64))
            topics.append(rows[:, width:].astype(np.float64))
        return states, topics if self.topics else None

    def _one_by_one(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        by_page = [self.score_segments([page]) for page in pages]
        topics = [rows for _, page_topics in by_page for rows in page_topics or ()]
        return [rows for own_rows, _ in by_page for rows in own_rows], topics or None

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of texts and, with topics, their topic logits beside them; float32 `[texts, width + topics]`."""
        return embed_all(texts, self.tokenizer, self.plan, self.embed)


def counted(texts: Sequence[str]) -> np.ndarray:
    """What can be counted about the segments of one page, and what tells captions; float32 `[len(texts),
    len(COUNTED_NAMES)]`."""
    return np.hstack([numeric_features(texts), captions(texts)])


def embed_all(texts: Sequence[str], tokenizer: Any, plan: SegmentPlan, embed: Embed) -> np.ndarray:
    """Vectors of texts, float32 `[texts, width]`; texts of like length are read together, so that padding is little.

    Args:
        texts: Cleaned texts.
        tokenizer: A `tokenizers.Tokenizer`.
        plan: How a text becomes tokens.
        embed: Maps token ids and attention mask, int64 `[batch, length]`, to vectors float32 `[batch, width]`.
    """
    ids = plan.ids(texts, tokenizer)
    vectors: np.ndarray | None = None
    for rows, batch, mask in padded_batches(ids, plan.pad):
        batch_vectors = embed(batch, mask)
        if vectors is None:
            vectors = np.zeros((len(texts), batch_vectors.shape[1]), np.float32)
        vectors[rows] = batch_vectors
    return np.zeros((0, 1), np.float32) if vectors is None else vectors


def padded_batches(ids: Sequence[Sequence[int]], pad: int) -> Iterator[tuple[list[int], np.ndarray, np.ndarray]]:
    """Yields batches of texts of like length, the longest first, of at most `BATCH_TOKENS` tokens.

    Args:
        ids: Token ids of each text.
        pad: Token id of padding.

    Yields:
        Which texts they are, their token ids and their attention mask, int64 `[texts, length]`.
    """
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    start = 0
    while start < len(order):
        length = len(ids[order[start]])
        rows = order[start : start + max(1, BATCH_TOKENS // length)]
        batch, mask = np.full((len(rows), length), pad, np.int64), np.zeros((len(rows), length), np.int64)
        for row, i in enumerate(rows):
            batch[row, : len(ids[i])] = ids[i]
            mask[row, : len(ids[i])] = 1
        yield rows, batch, mask
        start += len(rows)

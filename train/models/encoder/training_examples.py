"""Pages as the page network learns from them: cut into chunks, put into batches, padded."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

LIKE_LENGTH = 24
"""Chunks whose lengths differ by less stand in a batch together."""


@dataclass(frozen=True)
class TrainingExample:
    """A page as the network learns from it.

    Args:
        texts: The cleaned segments, object `[n]`.
        vectors: The segments' vectors, float32 `[n, width]`.
        numbers: Their numeric features, float32 `[n, features]`.
        tags: Their tags, indices into `decoding.TAGS`, int64 `[n]`; `networks.IGNORED` is not learnt from.
        weights: Their weights in the loss, float32 `[n]`.
    """

    texts: np.ndarray
    vectors: np.ndarray
    numbers: np.ndarray
    tags: np.ndarray
    weights: np.ndarray

    def chunk(self, first: int, last: int) -> TrainingExample:
        """Segments `first` to `last - 1`."""
        return TrainingExample(*(getattr(self, name)[first:last] for name in self.__dataclass_fields__))


def batches(
    examples: Sequence[TrainingExample], rng: random.Random, *, segments: int, chunks: int
) -> list[list[TrainingExample]]:
    """Pages cut into chunks at new places each time, chunks of like length together, in random order.

    Args:
        examples: The pages of an epoch.
        rng: Draws the places and the order.
        segments: The most segments of a chunk.
        chunks: The most chunks of a batch.
    """
    cut: list[TrainingExample] = []
    for example in examples:
        n = len(example.tags)
        first = rng.randrange(1, segments) if n > segments else n
        cut += [example.chunk(a, b) for a, b in itertools.pairwise([0, *range(first, n, segments), n]) if b > a]
    rng.shuffle(cut)
    cut.sort(key=lambda chunk: -(len(chunk.tags) // LIKE_LENGTH))
    batched = [cut[i : i + chunks] for i in range(0, len(cut), chunks)]
    rng.shuffle(batched)
    return batched


def stored_vectors(batch: Sequence[TrainingExample], device: torch.device) -> torch.Tensor:
    """The vectors that the chunks of a `batch` hold, padded with zeros, on the `device`: float32
    `[chunks, longest, width]`."""
    vectors = np.zeros((len(batch), max(len(chunk.tags) for chunk in batch), batch[0].vectors.shape[1]), np.float32)
    for row, chunk in enumerate(batch):
        vectors[row, : len(chunk.tags)] = chunk.vectors
    return torch.from_numpy(vectors).to(device)

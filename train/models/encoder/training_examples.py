"""Pages as the page's network learns from them: cut into chunks, put into batches, padded; and an epoch's steps.

Several processes may share each batch: their gradients are added up, so that they learn what one learns.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from train.models.encoder.networks import IGNORED, PageNetwork

LIKE_LENGTH = 24
"""Chunks whose lengths differ by less stand in a batch together."""


@dataclass(frozen=True)
class TrainingExample:
    """A page as the network learns from it.

    Args:
        texts: Cleaned segments, object `[n]`.
        vectors: float32 `[n, width]`.
        numbers: float32 `[n, features]`.
        states: `[n]`.
        weights: `[n]` of the state loss.
    """

    texts: np.ndarray
    vectors: np.ndarray
    numbers: np.ndarray
    states: np.ndarray
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
        rng: Draws places and order.
        segments: Of a chunk, at most.
        chunks: Of a batch, at most.
    """
    cut: list[TrainingExample] = []
    for example in examples:
        n = len(example.states)
        first = rng.randrange(1, segments) if n > segments else n
        cut += [example.chunk(a, b) for a, b in itertools.pairwise([0, *range(first, n, segments), n]) if b > a]
    rng.shuffle(cut)
    cut.sort(key=lambda chunk: -(len(chunk.states) // LIKE_LENGTH))
    answer = [cut[i : i + chunks] for i in range(0, len(cut), chunks)]
    rng.shuffle(answer)
    return answer


def weight_of(batch: Sequence[TrainingExample]) -> float:
    """What the segments of a batch weigh together; at least 1."""
    return max(1.0, float(sum(chunk.weights[chunk.states != IGNORED].sum() for chunk in batch)))


def loss_of(
    network: PageNetwork, batch: Sequence[TrainingExample], vectors: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """The sum over segments of the cross-entropy of their states, each times its weight.

    Args:
        network: In training.
        batch: Chunks.
        vectors: Of their segments, `[chunks, longest, width]`.
        device: Of the network.
    """
    rows, length = len(batch), max(len(chunk.states) for chunk in batch)
    numbers, present = (
        np.zeros((rows, length, batch[0].numbers.shape[1]), np.float32),
        np.zeros((rows, length, 1), np.float32),
    )
    states, weights = np.full((rows, length), IGNORED), np.zeros((rows, length), np.float32)
    for row, chunk in enumerate(batch):
        n = len(chunk.states)
        numbers[row, :n], present[row, :n] = chunk.numbers, 1
        states[row, :n], weights[row, :n] = chunk.states, chunk.weights
    logits = network(vectors, *(torch.from_numpy(array).to(device) for array in (numbers, present)))
    gold, weight = (torch.from_numpy(array.ravel()).to(device) for array in (states, weights))
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), gold, reduction="none", ignore_index=IGNORED)
    total: torch.Tensor = (losses * weight).sum()
    return total


def stored_vectors(batch: Sequence[TrainingExample], device: torch.device) -> torch.Tensor:
    """The examples' own vectors, padded with zeros: `[chunks, longest, width]`."""
    vectors = np.zeros((len(batch), max(len(chunk.states) for chunk in batch), batch[0].vectors.shape[1]), np.float32)
    for row, chunk in enumerate(batch):
        vectors[row, : len(chunk.states)] = chunk.vectors
    return torch.from_numpy(vectors).to(device)


def learn(
    network: PageNetwork,
    drawn: Sequence[Sequence[TrainingExample]],
    vectors_of: Callable[[Sequence[TrainingExample]], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    device: torch.device,
) -> dict[str, float]:
    """Takes the steps of an epoch; its step metrics.

    Args:
        network: On the device.
        drawn: The epoch's batches, the same in every process.
        vectors_of: Makes the vectors of a batch's segments, `[chunks, longest, width]`.
        optimizer: Of all that learns.
        schedule: Of its rates, a `OneCycleLR`; a step beyond its last changes nothing.
        device: Of the network.
    """
    rank, processes = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    total, started = torch.zeros((), dtype=torch.float64, device=device), time.monotonic()
    network.train()
    for batch in drawn:
        optimizer.zero_grad()
        if share := batch[rank::processes]:
            loss = loss_of(network, share, vectors_of(share), device) / weight_of(batch)
            torch.autograd.backward(loss)
            total += loss.detach()
        if processes > 1:
            _add_up(parameters)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if schedule.last_epoch < schedule.total_steps - 1:
            schedule.step()
    if processes > 1:
        distributed.all_reduce(total)
    return {
        "train/loss": float(total) / max(1, len(drawn)),
        "train/learning_rate": float(optimizer.param_groups[0]["lr"]),
        "train/segments_per_second": sum(len(chunk.states) for batch in drawn for chunk in batch)
        / (time.monotonic() - started),
    }


def _add_up(parameters: Sequence[nn.Parameter]) -> None:
    """Adds up what the processes found of each gradient."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)

"""The training loop of the encoder: a generator over epochs, whose caller logs, stops early and writes checkpoints (as
spaCy's `train_while_improving` leaves them to its caller).

Several processes may share each batch: their gradients are added up, so that they learn what one learns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from train.models.encoder.networks import IGNORED, PageNetwork
from train.models.encoder.training_examples import TrainingExample

Batch = Sequence[TrainingExample]
MAX_GRADIENT_NORM = 1.0


def train_epochs(
    network: PageNetwork,
    epochs: Iterable[Sequence[Batch]],
    vectors_of: Callable[[Batch], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    device: torch.device,
) -> Iterator[dict[str, float]]:
    """Trains epoch by epoch; between two of them the network, the optimizer and the schedule are the caller's to look
    at, to keep or to leave.

    Args:
        network: The page network, on the device.
        epochs: The batches of each epoch, the same in every process.
        vectors_of: Makes the vectors of a batch's segments, float32 `[chunks, longest, width]`.
        optimizer: The optimizer of all that learns.
        schedule: The schedule of its rates, a `OneCycleLR`; a step beyond its last changes nothing.
        device: The device of the network.

    Yields:
        The step metrics of each epoch: `train/loss`, `train/learning_rate` and `train/segments_per_second`.
    """
    rank, processes = (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for batches in epochs:
        total, started = torch.zeros((), dtype=torch.float64, device=device), time.monotonic()
        network.train()
        for batch in batches:
            optimizer.zero_grad()
            if share := batch[rank::processes]:
                loss = loss_of(network, share, vectors_of(share), device) / weight_of(batch)
                torch.autograd.backward(loss)
                total += loss.detach()
            if processes > 1:
                _add_up(parameters)
            nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
            optimizer.step()
            if schedule.last_epoch < schedule.total_steps - 1:
                schedule.step()
        if processes > 1:
            distributed.all_reduce(total)
        segments = sum(len(chunk.tags) for batch in batches for chunk in batch)
        yield {
            "train/loss": float(total) / max(1, len(batches)),
            "train/learning_rate": float(optimizer.param_groups[0]["lr"]),
            "train/segments_per_second": segments / (time.monotonic() - started),
        }


def weight_of(batch: Batch) -> float:
    """The sum of the weights of a batch's segments that have a tag; at least 1."""
    return max(1.0, float(sum(chunk.weights[chunk.tags != IGNORED].sum() for chunk in batch)))


def loss_of(network: PageNetwork, batch: Batch, vectors: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The sum over segments of the cross-entropy of their tags, each times its weight.

    Args:
        network: The page network, in training.
        batch: The chunks.
        vectors: The vectors of their segments, `[chunks, longest, width]`.
        device: The device of the network.
    """
    rows, length = len(batch), max(len(chunk.tags) for chunk in batch)
    numbers = np.zeros((rows, length, batch[0].numbers.shape[1]), np.float32)
    present = np.zeros((rows, length, 1), np.float32)
    tags, weights = np.full((rows, length), IGNORED), np.zeros((rows, length), np.float32)
    for row, chunk in enumerate(batch):
        n = len(chunk.tags)
        numbers[row, :n], present[row, :n] = chunk.numbers, 1
        tags[row, :n], weights[row, :n] = chunk.tags, chunk.weights
    logits = network(vectors, *(torch.from_numpy(array).to(device) for array in (numbers, present)))
    gold, weight = (torch.from_numpy(array.ravel()).to(device) for array in (tags, weights))
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), gold, reduction="none", ignore_index=IGNORED)
    total: torch.Tensor = (losses * weight).sum()
    return total


def _add_up(parameters: Sequence[nn.Parameter]) -> None:
    """Adds up each gradient over the processes."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)

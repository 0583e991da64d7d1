"""Pretrained layers learn, from a page network that is good already: those that read the page, and those that read
segments.

Rates are the lower the nearer a layer is to the tokens (ULMFiT, Howard & Ruder 2018, section 3.2).
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import distributed, nn

from train.common.errors import InputError
from train.common.files import written_aside
from train.config.schema import EncoderConfig
from train.models.backbone import layers_of
from train.models.encoder.networks import BLOCK, PageNetwork, SegmentReader
from train.models.encoder.training_examples import TrainingExample, batches, learn, stored_vectors
from train.runtime.encoder import SegmentPlan, padded_batches

DECAY = 0.5
"""The rate of a layer, as a share of the one above it."""


class FineTuning:
    """The second stage of training.

    Args:
        config: The section `encoder`.
        network: The page network, trained with the pretrained weights as they are.
        reader: Reads segments; learns unless the config says `fine_tune: page`.
        tokenizer: A `tokenizers.Tokenizer`.
        plan: How segments become tokens.
        device: Of both.

    Raises:
        InputError: The layers that read segments are to learn, and the backbone has no one stack of them.
    """

    def __init__(
        self,
        config: EncoderConfig,
        network: PageNetwork,
        reader: SegmentReader,
        tokenizer: Any,
        plan: SegmentPlan,
        device: torch.device,
    ) -> None:
        self.config, self.network, self.reader, self.tokenizer, self.plan, self.device = (
            config,
            network,
            reader,
            tokenizer,
            plan,
            device,
        )
        self.groups = _groups(config, network, reader)

    def train(
        self, examples: Sequence[TrainingExample], seed: int, checkpoint: Path
    ) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains, and yields the number of each epoch, from 1, and its step metrics; goes on from `checkpoint` if it is
        there.

        Args:
            examples: Of the training pages.
            seed: Of chunks and order, the same in every process.
            checkpoint: File of the last whole epoch.
        """
        config = self.config
        torch.manual_seed(seed)
        writes = not distributed.is_initialized() or distributed.get_rank() == 0
        optimizer = torch.optim.AdamW(self.groups, weight_decay=config.weight_decay)
        chunks = max(1, config.chunk_segments * config.batch_chunks // BLOCK)
        # Chunks are drawn for all epochs beforehand, so that a resumed training sees the same.
        epochs = [
            batches(examples, random.Random(seed + epoch), segments=BLOCK, chunks=chunks)
            for epoch in range(config.fine_tune_epochs)
        ]
        steps = max(sum(map(len, epochs)), 2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [group["lr"] for group in self.groups], total_steps=steps + 1, pct_start=config.warmup
        )
        done = _resume(checkpoint, self._modules(), optimizer, schedule) if checkpoint.is_file() else 0
        for module in self._modules().values():
            module.train()
        for epoch, drawn in enumerate(epochs[done:], start=done + 1):
            metrics = learn(self.network, drawn, self._vectors, optimizer, schedule, self.device)
            if writes:
                _keep(checkpoint, epoch, self._modules(), optimizer, schedule)
            yield epoch, metrics
        for module in self._modules().values():
            module.eval()

    def _modules(self) -> dict[str, nn.Module]:
        return {"network": self.network} | ({} if self.config.fine_tune == "page" else {"reader": self.reader})

    def _vectors(self, batch: Sequence[TrainingExample]) -> torch.Tensor:
        """Vectors of a batch's segments, padded with zeros: `[chunks, longest, width]`."""
        if self.config.fine_tune == "page":
            return stored_vectors(batch, self.device)
        place = {text: i for i, text in enumerate(dict.fromkeys(text for chunk in batch for text in chunk.texts))}
        found, order = [], []
        for rows, ids, mask in padded_batches(self.plan.ids(list(place), self.tokenizer), self.plan.pad):
            found.append(self.reader(torch.from_numpy(ids).to(self.device), torch.from_numpy(mask).to(self.device)))
            order += rows
        table = torch.cat([*found, torch.zeros(1, self.reader.width, device=self.device)])
        at = torch.empty(len(place), dtype=torch.int64)
        at[torch.tensor(order)] = torch.arange(len(place))
        index = torch.full((len(batch), max(len(chunk.texts) for chunk in batch)), len(place))
        for row, chunk in enumerate(batch):
            index[row, : len(chunk.texts)] = at[torch.tensor([place[text] for text in chunk.texts])]
        return table[index.to(self.device)]


def _groups(config: EncoderConfig, network: PageNetwork, reader: SegmentReader) -> list[dict[str, Any]]:
    """Parameters that learn, by their highest rate: new ones, then pretrained layers from the top down."""
    upper = list(network.upper.parameters()) if network.upper is not None else []
    pretrained = {id(parameter) for parameter in upper}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in network.parameters() if id(p) not in pretrained], "lr": config.fine_tune_page_rate},
        {"params": upper, "lr": config.fine_tune_rate},
    ]
    reader.requires_grad_(False)
    if config.fine_tune != "page":
        stack = layers_of(reader.backbone)
        if stack is None:
            raise InputError(
                f"the layers of backbone {config.backbone!r} cannot learn one by one",
                expected="one stack of layers",
                remedy="set encoder.fine_tune to page: what reads segments stays as it is",
                rule="bad-config",
            )
        for depth, layer in enumerate(reversed(stack[-1:] if config.fine_tune == "top" else stack)):
            layer.requires_grad_(True)
            groups.append({"params": list(layer.parameters()), "lr": config.fine_tune_rate * DECAY**depth})
    return [group for group in groups if group["params"]]


def _keep(
    path: Path, epochs: int, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, schedule: Any
) -> None:
    """Writes a checkpoint as tensors alone, whole or not at all."""
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    state = optimizer.state_dict()["state"]
    tensors |= {f"optimizer.{i}.{key}": value for i, values in state.items() for key, value in values.items()}
    numbers = {
        "epochs": torch.tensor(epochs),
        "steps": torch.tensor(schedule.last_epoch),
        "random": torch.get_rng_state(),
    }
    with written_aside(path) as aside:
        save_file({name: tensor.contiguous() for name, tensor in (tensors | numbers).items()}, aside)


def _resume(path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, schedule: Any) -> int:
    """Takes over a checkpoint; how many epochs it has done."""
    tensors = load_file(path)
    for name, module in modules.items():
        module.load_state_dict(
            {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        )
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, i, name = key.split(".")
            state.setdefault(int(i), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the optimizer's steps were taken by another process
        for _ in range(int(tensors["steps"])):
            schedule.step()
    torch.set_rng_state(tensors["random"])
    return int(tensors["epochs"])

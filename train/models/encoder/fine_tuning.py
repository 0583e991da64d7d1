"""Pretrained layers learn, from a page network that is good already: those that read the page, and those that read
segments.

Rates are the lower the nearer a layer is to the tokens (ULMFiT, Howard & Ruder 2018, section 3.2).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from train.common.errors import InputError
from train.config.schema import EncoderConfig
from train.models.backbone import layers_of
from train.models.encoder.checkpoint import Checkpoint
from train.models.encoder.loop import train_epochs
from train.models.encoder.networks import BLOCK, PageNetwork, SegmentReader
from train.models.encoder.training_examples import TrainingExample, batches, stored_vectors
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
        device: The device of the network and the reader.
        examples: The training pages.
        seed: The seed of chunks and order, the same in every process.

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
        examples: Sequence[TrainingExample],
        seed: int,
    ) -> None:
        self.config, self.network, self.reader = config, network, reader
        self.tokenizer, self.plan, self.device = tokenizer, plan, device
        self.groups = _groups(config, network, reader)
        torch.manual_seed(seed)
        self.optimizer = torch.optim.AdamW(self.groups, weight_decay=config.weight_decay)
        chunks = max(1, config.chunk_segments * config.batch_chunks // BLOCK)
        # Chunks are drawn for all epochs beforehand, so that a resumed training sees the same.
        self.epochs = [
            batches(examples, random.Random(seed + epoch), segments=BLOCK, chunks=chunks)
            for epoch in range(config.fine_tune_epochs)
        ]
        steps = max(sum(map(len, self.epochs)), 2)
        rates = [group["lr"] for group in self.groups]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, rates, total_steps=steps + 1, pct_start=config.warmup
        )

    @property
    def modules(self) -> dict[str, nn.Module]:
        """Name -> what learns."""
        return {"network": self.network} | ({} if self.config.fine_tune == "page" else {"reader": self.reader})

    def train(self, path: Path) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains the epochs that a checkpoint does not hold yet, and keeps each in it, in the first process.

        Args:
            path: The file of the checkpoint.

        Yields:
            The number of each epoch, from 1, and its step metrics.
        """
        leads = not distributed.is_initialized() or distributed.get_rank() == 0
        checkpoint = Checkpoint(path, self.modules, self.optimizer, self.schedule)
        done = checkpoint.resume()
        for module in self.modules.values():
            module.train()
        loop = train_epochs(self.network, self.epochs[done:], self._vectors, self.optimizer, self.schedule, self.device)
        for epoch, metrics in enumerate(loop, start=done + 1):
            if leads:
                checkpoint.save(epoch)
            yield epoch, metrics
        for module in self.modules.values():
            module.eval()

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

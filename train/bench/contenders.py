"""The packed encoder and the usual way, made ready to be trained on the same pages with the same backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from train.config import EncoderConfig
from train.corpus.page import Page
from train.models.backbone import load_backbone
from train.models.backbone_files import backbone_source
from train.models.encoder import EncoderFamily
from train.models.family import topics_of
from train.runtime.reading import ROLES

PAIR_TOKENS, PAIRS = 128, 8
"""Of the usual way: tokens it pads to, and sequences in a batch (Trainer's default)."""


def packed_network(config: EncoderConfig, pages: Sequence[Page], folder: Path) -> EncoderFamily:
    """The packed encoder, not trained yet, with the pages' topics."""
    family = EncoderFamily(config, 13, folder)
    family.topics = topics_of(pages)
    family.load_backbone()
    return family


def usual_network(config: EncoderConfig) -> tuple[nn.Module, Callable[[Sequence[str], Sequence[str]], dict[str, torch.Tensor]]]:
    """A sequence classifier, not trained yet: every weight trained, the backbone's own dropout; and how it encodes pairs of texts."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    hf_tokenizer, _ = load_backbone(config.backbone, revision=config.revision, layers=config.layers)
    source = backbone_source(config.backbone)
    settings = AutoConfig.from_pretrained(source, num_labels=len(ROLES), num_hidden_layers=config.layers)
    network: Any = AutoModelForSequenceClassification.from_pretrained(source, config=settings)

    def encode(own: Sequence[str], other: Sequence[str]) -> dict[str, torch.Tensor]:
        found = hf_tokenizer(list(own), list(other), truncation=True, max_length=PAIR_TOKENS, padding="max_length", return_tensors="pt")
        return dict(found)

    return network, encode


def pairs(page: Page) -> list[tuple[str, str, int]]:
    """Each segment, its two neighbours as one text, and its role's index."""
    texts = page.texts
    return [
        (texts[i], " ".join([*texts[max(0, i - 1) : i], *texts[i + 1 : i + 2]]), ROLES.index(str(segment.role)))
        for i, segment in enumerate(page.segments)
    ]


def optimise(loss: torch.Tensor, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One step, gradients bounded as the Trainer bounds them."""
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()

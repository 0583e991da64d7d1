"""Shipped configs shrunk to tiny corpora and a tiny backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from tests.helpers.paths import ROOT
from train.config import Config, load_config

FAMILIES = (
    "demo-baseline",
    "pages-hierarchical",
    pytest.param("demo-encoder", marks=pytest.mark.slow),
)
"""A config of each family; what a newcomer does not meet first is left to `make test-all`."""


class ConfigMaker(Protocol):
    """`make_config("demo-encoder", "encoder.epochs=2")`: a shrunk config that writes to a folder of its own."""

    def __call__(self, name: str, *overrides: str) -> Config: ...


def shrunk(name: str, corpus: Path, backbone: Path, folder: Path, *overrides: str) -> Config:
    """A shipped config shrunk to the tiny corpus and the tiny backbone."""
    family = load_config(ROOT / f"configs/{name}.yaml").family
    small = [
        f"corpus.path={corpus}",
        "corpus.languages=[]",
        "corpus.composed=0",
        f"output={folder / name}",
        "evaluation.bootstrap_samples=50",
        "evaluation.learning_curve=[]",
        "tracking.enabled=false",
    ]
    if family == "encoder":
        small += [
            f"encoder.backbone={backbone}", "encoder.layers=null", "encoder.window_tokens=96", "encoder.epochs=3", "encoder.batch_windows=4",
            "encoder.learning_rate=0.002", "encoder.head_learning_rate=0.005", "encoder.freeze_embeddings=false",
        ]  # fmt: skip
    if family == "hierarchical":
        small += [
            f"hierarchical.backbone={backbone}", "hierarchical.layers=null", "hierarchical.role_layers=null", "hierarchical.width=32", "hierarchical.depth=1", "hierarchical.members=2", "hierarchical.epochs=12",
            "hierarchical.batch_pieces=4", "hierarchical.learning_rate=0.01", "hierarchical.dropout=0.1", "hierarchical.int8=false",
        ]  # fmt: skip
    if family == "baseline":
        small += ["baseline.max_words=2000", "baseline.max_chars=2000", "baseline.max_iterations=40"]
    return load_config(ROOT / f"configs/{name}.yaml", [*small, *overrides])

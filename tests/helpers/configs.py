"""Shipped configs shrunk to tiny corpora and a tiny backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from tests.helpers.paths import ROOT
from train.config.schema import Config, load_config

FAMILIES = ("demo-baseline", "pages-encoder")
"""A config of each family."""


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
        "tracking.enabled=false",
    ]
    if family == "encoder":
        small += [
            f"encoder.backbone={backbone}",
            "encoder.pretrained=null",
            "encoder.layers=1",
            "encoder.page_layers=1",
            "encoder.fine_tune_epochs=2",
            "encoder.width=32",
            "encoder.depth=1",
            "encoder.epochs=12",
            "encoder.batch_chunks=4",
            "encoder.learning_rate=0.01",
            "encoder.dropout=0.1",
            "encoder.int8=false",
        ]
    if family == "baseline":
        small += ["baseline.max_words=2000", "baseline.max_chars=2000", "baseline.max_iterations=40"]
    return load_config(ROOT / f"configs/{name}.yaml", [*small, *overrides])

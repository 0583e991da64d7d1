"""The model under test: `pytest tests/behaviour --model FOLDER-OR-URI`, or the demo's baseline, trained here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from train.config.schema import load_config
from train.corpus.build import build
from train.inference.resolve import load_labeler
from train.runtime import Labeler
from train.training.recipe import fit

PAGES = 200
"""Half of the demo's: enough to read obvious pages, in half the time."""


@pytest.fixture(scope="session")
def labeler(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Labeler:
    """The model named by `--model`, else the baseline of the demo."""
    named = request.config.getoption("--model")
    if named:
        return load_labeler(str(named))
    folder: Path = tmp_path_factory.mktemp("behaviour")
    corpus = build(folder / "composed.jsonl.gz", seed=13, pages=PAGES).path
    settings = [
        f"corpus.path={corpus}",
        f"output={folder / 'model'}",
        "tracking.enabled=false",
        "evaluation.bootstrap_samples=10",
    ]
    return load_labeler(str(fit(load_config(ROOT / "configs/demo-baseline.yaml", settings)).output))

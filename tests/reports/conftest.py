"""What the reports are of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.configs import shrunk
from train.training.recipe import fit


@pytest.fixture(scope="package")
def baseline(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its report."""
    short = ["baseline.max_iterations=5", "baseline.stacking_neighbours=0"]
    return fit(shrunk("pages-baseline", corpus, corpus, tmp_path_factory.mktemp("reported"), *short)).output

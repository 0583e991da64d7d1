"""Toy models, trained in a second or two."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.configs import shrunk
from train.training.outcome import Outcome
from train.training.recipe import fit

QUICK = ("baseline.stacking_neighbours=0",)
"""Overrides for a baseline of which only the answers' form counts: no second model."""


def toy_baseline(corpus: Path, folder: Path, *overrides: str) -> Outcome:
    """A baseline of one reading, trained on the tiny corpus; it has no backbone."""
    return fit(shrunk("demo-baseline", corpus, Path("none"), folder, *QUICK, *overrides))

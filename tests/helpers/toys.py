"""Toy models, trained in a second or two: without the report, the figures and what else the tests that want a model do not look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.configs import shrunk
from train import recipe
from train.config import Config
from train.recipe import Outcome

QUICK = ("evaluation.learning_curve=[]", "baseline.second_reading=0")
"""Overrides for a baseline of which only the answers' form counts: no curve, no second model."""


@contextmanager
def without_report() -> Iterator[None]:
    """Within the block, `fit` draws nothing: what it would log is there, and empty."""

    def empty(folder: Path, told: Any) -> tuple[list[Path], list[dict[str, Any]]]:
        paths = [folder / name for name in ("report.html", "errors.html", "pages.html", "slices.json")]
        for path in paths:
            path.write_text("{}", encoding="utf-8")
        return paths, []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "write_run_report", empty)
        yield


def quick_fit(config: Config) -> Outcome:
    """`fit`, without its report."""
    with without_report():
        return recipe.fit(config)


def toy_baseline(corpus: Path, folder: Path, *overrides: str) -> Outcome:
    """A baseline of one reading, trained on the tiny corpus."""
    return quick_fit(shrunk("demo-baseline", corpus, corpus, folder, *QUICK, *overrides))

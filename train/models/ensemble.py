"""Training an ensemble: each of its families by itself, on the same pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.corpus.page import Page
from train.corpus.training import TrainingPages
from train.models.family import Family, Log
from train.runtime.ensemble import ensemble_of
from train.runtime.labeler import Reader


class EnsembleFamily:
    """Fits several families that answer by their mean.

    Args:
        families: Name -> family, not fitted yet.
    """

    def __init__(self, families: Mapping[str, Family]) -> None:
        self.families = dict(families)

    def fit(self, pages: TrainingPages, log: Log) -> None:
        """Trains one family after the other; a step metric that an earlier one has too carries the family's name."""
        taken: dict[str, str] = {}
        for name, family in self.families.items():
            family.fit(pages, _apart(log, name, taken))

    def reader(self) -> Reader:
        """The fitted families as one."""
        return ensemble_of({name: family.reader() for name, family in self.families.items()})

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes each family's weights into a folder of its name."""
        parts = {}
        for name, family in self.families.items():
            (folder / name).mkdir()
            parts[name] = family.write(folder / name, sample)
        return {"members": parts, "topics": next(iter(parts.values()))["topics"]}

    def write_weights(self, folder: Path) -> None:
        """Writes what each family can go on from."""
        for name, family in self.families.items():
            family.write_weights(folder / name)


def _apart(log: Log, family: str, taken: dict[str, str]) -> Log:
    def apart(metrics: dict[str, float], step: int) -> None:
        for metric in metrics:
            taken.setdefault(metric, family)
        log(
            {name if taken[name] == family else name.replace("train/", f"train/{family}_", 1): value for name, value in metrics.items()},
            step,
        )

    return apart

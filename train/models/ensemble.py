"""Training an ensemble: each of its families by itself, on the same pages; validation pages choose the say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from train.corpus.page import Page
from train.corpus.training import TrainingPages
from train.models.family import Family, Log, states_macro_f1
from train.runtime.ensemble import ensemble_of, mixed
from train.runtime.labeler import Reader
from train.runtime.reading import clean

SAYS = (1.0, 3.0)
"""A family's say is one of these, so that of two families one may count thrice as much as the other, and none is left out."""


class EnsembleFamily:
    """Fits several families that answer by their weighted mean.

    Args:
        families: Name -> family, not fitted yet.
    """

    def __init__(self, families: Mapping[str, Family]) -> None:
        self.families = dict(families)
        self.shares = dict.fromkeys(self.families, 1.0)

    def fit(self, pages: TrainingPages, log: Log) -> None:
        """Trains one family after the other; a step metric that an earlier one has too carries the family's name."""
        taken: dict[str, str] = {}
        for name, family in self.families.items():
            family.fit(pages, _apart(log, name, taken))
        if pages.validation:
            self.shares = best_shares({name: family.reader() for name, family in self.families.items()}, pages.validation)

    def reader(self) -> Reader:
        """The fitted families as one."""
        return ensemble_of({name: family.reader() for name, family in self.families.items()}, self.shares)

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes each family's weights into a folder of its name."""
        parts = {}
        for name, family in self.families.items():
            (folder / name).mkdir()
            parts[name] = family.write(folder / name, sample)
        return {"members": parts, "shares": self.shares, "topics": next(iter(parts.values()))["topics"]}

    def write_weights(self, folder: Path) -> None:
        """Writes what each family can go on from."""
        for name, family in self.families.items():
            family.write_weights(folder / name)


def best_shares(readers: Mapping[str, Reader], validation: Sequence[Page]) -> dict[str, float]:
    """The say of each reader in the mean that has the best role macro-F1 on validation pages, 1 together; equal where that is as good."""
    texts = [[clean(text) for text in page.texts] for page in validation]
    found = [reader.states(texts)[0] for reader in readers.values()]
    candidates = {tuple(say / sum(says) for say in says) for says in product(SAYS, repeat=len(readers))}
    equal = (1 / len(readers),) * len(readers)
    ranked = [equal, *sorted(candidates - {equal})]
    best = max(ranked, key=lambda shares: states_macro_f1(mixed(found, shares), validation))
    return dict(zip(readers, best, strict=True))


def _apart(log: Log, family: str, taken: dict[str, str]) -> Log:
    def apart(metrics: dict[str, float], step: int) -> None:
        for metric in metrics:
            taken.setdefault(metric, family)
        log(
            {name if taken[name] == family else name.replace("train/", f"train/{family}_", 1): value for name, value in metrics.items()},
            step,
        )

    return apart

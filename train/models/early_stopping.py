"""Validation scores while a network trains: the curve, the best state, and when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_model, save_model
from torch import nn

from train.common.files import read_json, write_json, written_aside
from train.corpus.page import Page
from train.models.family import Log
from train.models.selection import role_macro_f1
from train.runtime.scorer import Scorer

CURVE_PAGES = 40


class EarlyStopping:
    """Evaluates a network on validation pages at intervals; with patience, keeps its best state (Prechelt 1998, "Early
    stopping — but when?").

    Scores are kept on disk, so that a resumed training knows them.

    Args:
        pages: Labelled validation pages. Without patience the scores only draw a curve, and `CURVE_PAGES` of them,
            evenly taken, are enough.
        patience: Stop after so many evaluations without a better role macro-F1, and go back to the best state; 0:
            evaluate, never stop.
        folder: The folder for the scores and the best state.
        log: Takes `train/validation_macro_f1` at the step.
        step: The step where training starts or goes on; scores of later steps, by an earlier process, are dropped.
    """

    def __init__(self, pages: Sequence[Page], patience: int, folder: Path, log: Log, *, step: int = 0) -> None:
        every = 1 if patience else max(1, len(pages) // CURVE_PAGES)
        self.pages, self.patience, self.folder, self.log = pages[::every], patience, folder, log
        self.scores: dict[int, float] = {}
        if self._file.is_file():
            seen = {int(at): float(score) for at, score in read_json(self._file).items()}
            self.scores = {at: score for at, score in seen.items() if at <= step}

    @property
    def _file(self) -> Path:
        return self.folder / "scores.json"

    def _state(self, step: int) -> Path:
        return self.folder / f"step-{step}.safetensors"

    @property
    def best(self) -> int:
        """The step of the best score, the first of equals.

        Raises:
            ValueError: Nothing was evaluated yet.
        """
        return max(self.scores, key=lambda step: (self.scores[step], -step))

    @property
    def exhausted(self) -> bool:
        """Whether patience is over: a training that was stopped by it, and then killed, must not go on."""
        return bool(self.patience and self.scores) and sum(at > self.best for at in self.scores) >= self.patience

    def evaluate(self, network: nn.Module, scorer: Scorer, step: int) -> bool:
        """Scores the network on the validation pages; True when training should stop.

        Args:
            network: The network, trained so far.
            scorer: Predicts with that network.
            step: The training step.
        """
        score = role_macro_f1(scorer, self.pages)
        self.log({"train/validation_macro_f1": score}, step)
        before = self.best if self.scores else None
        self.scores[step] = score
        if self.patience and self.best == step:
            with written_aside(self._state(step)) as path:
                save_model(network, str(path))
            # The last best stays until the next one: a killed training may go on from before this evaluation.
            for path in self.folder.glob("step-*.safetensors"):
                if path not in (self._state(step), before is not None and self._state(before)):
                    path.unlink()
        write_json(self._file, self.scores)
        return self.exhausted

    def restore(self, network: nn.Module) -> None:
        """Puts the best state back into the network; without patience, the last one stays."""
        if self.patience and self.scores and self._state(self.best).is_file():
            load_model(network, str(self._state(self.best)))

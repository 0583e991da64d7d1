from __future__ import annotations

import itertools
from pathlib import Path
from typing import cast

import pytest
from torch import nn

from tests.helpers.configs import ConfigMaker
from train.common.files import read_json
from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.models import early_stopping as watching
from train.models.early_stopping import EarlyStopping
from train.runtime.scorer import Scorer


def _network(value: float) -> nn.Module:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, value)
    return network


def _look(watch: EarlyStopping, step: int) -> bool:
    """Its score is told, so there is no need of a reader."""
    return watch.evaluate(_network(step), cast(Scorer, None), step)


class _Told:
    """A watch of scores that are told; the network's weight is the step, so that a restored state says of when it
    is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
        self.scores, self.logged = iter(scores), []
        monkeypatch.setattr(watching, "role_macro_f1", lambda reader, pages: next(self.scores))

    def log(self, metrics: dict[str, float], step: int) -> None:
        self.logged.append((step, metrics["train/validation_macro_f1"]))


def test_training_stops_when_patience_is_over_and_goes_back_to_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _Told(monkeypatch, [0.5, 0.7, 0.6, 0.7, 0.65])
    watch = EarlyStopping([], 3, tmp_path, told.log)
    stops = [_look(watch, step) for step in range(1, 6)]
    assert stops == [False, False, False, False, True]
    assert told.logged == [(1, 0.5), (2, 0.7), (3, 0.6), (4, 0.7), (5, 0.65)]
    again = EarlyStopping([], 3, tmp_path, told.log, step=5)
    assert again.exhausted, "a training that was stopped, and killed before its model was written, does not go on"
    network = _network(9)
    again.restore(network)
    assert network.weight.item() == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "scores.json",
        "step-1.safetensors",
        "step-2.safetensors",
    ]


def test_without_patience_the_last_state_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = EarlyStopping([], 0, tmp_path, _Told(monkeypatch, [0.9, 0.1]).log)
    assert not any(_look(watch, step) for step in (1, 2))
    network = _network(2)
    watch.restore(network)
    assert network.weight.item() == 2
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


def test_a_resumed_training_knows_what_was_seen_before_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = EarlyStopping([], 2, tmp_path, _Told(monkeypatch, [0.7, 0.6, 0.9]).log)
    for step in (1, 2, 3):
        _look(watch, step)
    again = EarlyStopping(
        [], 2, tmp_path, _Told(monkeypatch, [0.5]).log, step=2
    )  # killed before the checkpoint of step 3 was whole
    assert again.scores == {1: 0.7, 2: 0.6}, "what was seen later is forgotten"
    assert _look(again, 3), "two looks without a better one"
    network = _network(9)
    again.restore(network)
    assert network.weight.item() == 1


@pytest.mark.parametrize(("patience", "every"), [(0, 2), (1, 1)])
def test_a_curve_is_drawn_by_forty_pages_evenly_taken_and_patience_is_judged_by_all(
    tmp_path: Path, patience: int, every: int
) -> None:
    many = [Page(f"p{n}", "a.example", ()) for n in range(80)]
    assert list(EarlyStopping(many, patience, tmp_path, lambda metrics, step: None).pages) == many[::every]
    assert len(EarlyStopping(many[:30], patience, tmp_path, lambda metrics, step: None).pages) == 30


def test_an_encoder_draws_the_curve_and_stops(make_config: ConfigMaker, pages: list[Page], tmp_path: Path) -> None:
    from train.models.factory import family_of

    config = make_config("pages-encoder", "encoder.epochs=6", "encoder.patience=1")
    curve: dict[int, float] = {}

    def log(metrics: dict[str, float], step: int) -> None:
        if "train/validation_macro_f1" in metrics:
            curve[step] = metrics["train/validation_macro_f1"]

    family = family_of(config, tmp_path / "work")
    family.fit(TrainingPages(pages[:48], pages[48:]), log)
    assert 2 <= len(curve) <= 6
    assert watching.role_macro_f1(family.scorer(), pages[48:]) == pytest.approx(max(curve.values()), abs=1e-6), (
        "the best state answers"
    )
    scores = [curve[step] for step in sorted(curve)]
    assert all(b > a for a, b in itertools.pairwise(scores[:-1])), (
        "each look but the last was better than the one before"
    )
    kept = next(path for path in (tmp_path / "work").glob("watch*/scores.json"))
    assert {int(step) for step in read_json(kept)} == set(curve)

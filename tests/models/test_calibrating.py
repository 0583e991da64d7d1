from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.configs import ConfigMaker
from tests.helpers.pages import make_page
from train.common.files import read_json
from train.evaluation.reliability import reliability_of
from train.models.calibration import fit_temperature, thresholds
from train.runtime import Labeler
from train.runtime.calibration import Calibration, tempered
from train.runtime.text import ROLES
from train.training.recipe import fit


def _drawn(temperature: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are too sure by a known temperature, and labels drawn from the true probabilities."""
    rng = np.random.default_rng(3)
    truth = rng.dirichlet([0.6, 0.6, 0.6], size=n)
    gold = (truth.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return tempered(truth, 1 / temperature), gold


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.5])
def test_the_temperature_that_was_hidden_is_found_and_the_error_falls(temperature: float) -> None:
    scores, gold = _drawn(temperature)
    found = fit_temperature(scores, gold)
    assert found == pytest.approx(temperature, rel=0.12)
    before, after = reliability_of(scores, gold), reliability_of(tempered(scores, found), gold)
    assert after["ece"] < 0.03
    assert after["ece"] <= before["ece"] + 1e-9
    assert after["brier"] <= before["brier"] + 1e-9
    assert after["coverage"]["100%"] == before["coverage"]["100%"]
    assert sum(n for _, _, n in after["bins"]) == len(gold)


@given(st.lists(st.floats(1e-9, 1.0), min_size=3, max_size=3), st.floats(0.2, 8.0))
def test_a_temperature_never_changes_the_answer_and_can_be_undone(row: list[float], temperature: float) -> None:
    scores = np.array([row]) / np.sum(row)
    changed = tempered(scores, temperature)
    assert changed.sum() == pytest.approx(1)
    assert scores[0, changed.argmax()] == pytest.approx(scores.max())
    assert tempered(changed, 1 / temperature) == pytest.approx(scores, rel=1e-6)


def test_thresholds_give_the_wished_precision() -> None:
    scores, gold = _drawn(1.0)
    found = thresholds(scores, gold, 0.9)
    best, confidence = scores.argmax(axis=1), scores.max(axis=1)
    for k, role in enumerate(ROLES):
        sure = (best == k) & (confidence >= found[role])
        assert (gold[sure] == k).mean() >= 0.9
        assert sure.sum() > 30
    assert thresholds(scores, (scores.argmax(axis=1) + 1) % 3, 0.9) == dict.fromkeys(ROLES), "never right"
    assert thresholds(scores[:0], gold[:0], 0.9) == dict.fromkeys(ROLES)
    never = Calibration(thresholds={"main": 0.5, "related": None})
    assert never.unsure("related", 1.0), "the surest is let through no more than the rest"
    assert Calibration.from_json(never.to_json()) == never
    old = {**never.to_json(), "thresholds": {"main": 0.5, "related": 2.0}}
    assert Calibration.from_json(old) == never, "as older bundles have it"


def test_nothing_to_calibrate_on() -> None:
    assert fit_temperature(np.empty((0, 3)), np.empty(0, int)) == 1.0
    assert reliability_of(np.empty((0, 3)), np.empty(0, int))["ece"] == 0.0


def test_a_calibration_is_read_back_and_an_old_bundle_has_none() -> None:
    made = Calibration(1.5, 0.7, {"main": 0.9})
    assert Calibration.from_json(made.to_json()) == made
    assert Calibration.from_json(None) == Calibration()
    assert (made.unsure("main", 0.89), made.unsure("main", 0.9), made.unsure("related", 0.1)) == (True, False, False)


@pytest.mark.parametrize("name", ["demo-baseline", "pages-encoder"])
def test_a_run_calibrates_stores_and_reports(make_config: ConfigMaker, name: str) -> None:
    outcome = fit(make_config(name))
    certainty = read_json(outcome.output / "calibration.json")
    labeler = Labeler.load(outcome.output / "bundle")
    assert labeler.calibration.to_json() == certainty["calibration"]
    assert set(certainty["calibration"]["thresholds"]) == set(ROLES)
    for part in ("validation", "test"):
        assert {"ece", "brier", "bins", "coverage"} == set(certainty[part]["after"])
        assert outcome.metrics[f"{part}/role/ece"] == certainty[part]["after"]["ece"]
        assert certainty[part]["before"]["coverage"]["100%"] == certainty[part]["after"]["coverage"]["100%"]
    page = make_page("unseen", 2)
    plain, told = (next(labeler.label([(page.page_id, page.texts)], unsure=unsure)) for unsure in (False, True))
    assert all("unsure" not in s for s in plain["segments"])
    for s in told["segments"]:
        assert s.pop("unsure") == labeler.calibration.unsure(s["role"], s["confidence"])
    assert told == plain
    cold = Labeler(labeler.scorer, labeler.decoder, labeler.name, labeler.version, labeler.family, labeler.topics)
    record = next(cold.label([(page.page_id, page.texts)]))
    assert [(s["role"], s["story"]) for s in record["segments"]] == [(s["role"], s["story"]) for s in plain["segments"]]
    assert [s["topic"] for s in record["stories"]] == [s["topic"] for s in plain["stories"]]

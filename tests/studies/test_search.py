from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from train.common.signals import Interrupted
from train.studies.search import workers as search
from train.studies.search.workers import (
    DRAWN,
    OWNER,
    STARTUP,
    NumberedSampler,
    ended,
    open_study,
    place_of,
    take_over,
    work,
)

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")
Open = Callable[[], Any]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the study anew, as another process would."""
    monkeypatch.setattr(search, "GRACE_S", 1)
    return lambda: open_study(f"sqlite:///{tmp_path / 'study.db'}", "s", seed=13, sampler="random")


def _objective(trial: Any) -> float:
    x, y = (float(trial.suggest_float(name, 0, 1)) for name in ("x", "y"))
    trial.set_user_attr(DRAWN, True)
    return x + y


def _tried(study: Any) -> list[tuple[float, float]]:
    return sorted((trial.params["x"], trial.params["y"]) for trial in ended(study))


@pytest.fixture
def undisturbed(tmp_path: Path) -> list[tuple[float, float]]:
    study = open_study(f"sqlite:///{tmp_path / 'undisturbed.db'}", "s", seed=13, sampler="random")
    work(study, 4, _objective, [])
    return _tried(study)


def _gone() -> str:
    """A process of this machine that is no more."""
    found = subprocess.run(
        [sys.executable, "-c", "from train.common.signals import me; print(me())"],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


def test_a_worker_killed_before_it_put_its_name_is_not_waited_for(
    opened: Open, undisturbed: list[tuple[float, float]]
) -> None:
    study = opened()
    work(study, 1, _objective, [])
    study.ask()
    work(study, 4, _objective, [])
    assert _tried(study) == undisturbed


def test_two_that_take_over_the_same_trial_count_it_once(opened: Open, undisturbed: list[tuple[float, float]]) -> None:
    study = opened()
    work(study, 1, _objective, [])
    killed = study.ask()
    killed.set_user_attr(OWNER, _gone())
    found = study.get_trials()[killed.number]
    take_over(study)
    with search._experimental():
        search.RetryHeartbeatStaleTrialCallback()(study, found)  # as another worker does that looked at the same moment
    work(opened(), 4, _objective, [])
    assert _tried(study) == undisturbed
    assert len([trial for trial in study.trials if trial.state == TrialState.COMPLETE]) == 4, (
        "the second one is not trained"
    )


def test_a_kill_between_two_draws_changes_neither(opened: Open, undisturbed: list[tuple[float, float]]) -> None:
    def killed(trial: Any) -> float:
        trial.suggest_float("x", 0, 1)
        raise Interrupted(9)

    with pytest.raises(Interrupted):
        work(opened(), 4, killed, [])
    study = opened()
    take_over(study, own=True)
    work(study, 4, _objective, [])
    assert _tried(study) == undisturbed


def test_a_trial_too_many_is_not_run_though_its_worker_was_killed(opened: Open) -> None:
    study = opened()
    work(study, 2, _objective, [])
    study.ask().set_user_attr(OWNER, _gone())  # another worker drew it as the second one was being taken
    work(study, 2, _objective, [])
    assert len(ended(study)) == 2
    assert len([trial for trial in study.trials if trial.state == TrialState.COMPLETE]) == 2


def test_what_ended_before_it_began_keeps_its_place(opened: Open, undisturbed: list[tuple[float, float]]) -> None:
    study = opened()
    study.enqueue_trial({"x": 0.5, "y": 0.5})
    study.tell(study.ask(), state=TrialState.FAIL)
    work(study, 4, _objective, [])
    assert (0.5, 0.5) in _tried(study)
    assert len(set(_tried(study)) & set(undisturbed)) == 3


def test_a_worker_whose_trial_was_taken_over_goes_on(
    opened: Open, undisturbed: list[tuple[float, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    first = True

    def slept(trial: Any) -> float:
        nonlocal first
        if first:
            first = False
            other = opened()  # another machine, which has heard nothing for a minute
            search._ask_again(other, other.trials[trial.number])
            other.tell(trial.number, state=TrialState.FAIL)
        return _objective(trial)

    study = opened()
    work(study, 4, slept, [])
    assert _tried(study) == undisturbed
    assert "trial 0 was ended by another worker" in capsys.readouterr().err


def test_two_that_run_the_same_trial_count_it_once(opened: Open, undisturbed: list[tuple[float, float]]) -> None:
    first = True

    def overtaken(trial: Any) -> float:
        nonlocal first
        score = _objective(trial)
        if first:
            first = False
            opened().tell(trial.number, score)  # SQLite may give a waiting trial to two workers at the same moment
        return score

    study = opened()
    work(study, 4, overtaken, [])
    assert _tried(study) == undisturbed


def test_two_that_begin_a_search_enqueue_one_config(opened: Open, undisturbed: list[tuple[float, float]]) -> None:
    study = opened()
    for _ in range(2):
        study.enqueue_trial({"x": 0.5, "y": 0.5})
    work(study, 4, _objective, [])
    assert len(_tried(study)) == len(set(_tried(study))) == 4
    assert len(set(_tried(study)) & set(undisturbed)) == 3


def test_an_error_between_two_draws_is_no_trial(opened: Open, undisturbed: list[tuple[float, float]]) -> None:
    first = True

    def busy(trial: Any) -> float:
        nonlocal first
        trial.suggest_float("x", 0, 1)
        if first:
            first = False
            raise optuna.exceptions.StorageInternalError
        return _objective(trial)

    study = opened()
    with pytest.raises(optuna.exceptions.StorageInternalError):
        work(study, 4, busy, [])
    assert ended(study) == []
    assert place_of(study, study.trials[0]) == 0
    work(study, 4, busy, [])
    assert _tried(study) == undisturbed


def test_settings_that_kill_their_worker_end_as_failed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(trial: Any) -> float:
        _objective(trial)
        raise Interrupted(9)

    monkeypatch.setattr(search, "MOST_KILLS", 2)
    for _ in range(3):
        study = opened()
        take_over(study, own=True)
        with pytest.raises(Interrupted):
            work(study, 1, killed, [])
    study = opened()
    take_over(study, own=True)
    work(study, 1, killed, [])
    assert [trial.state for trial in ended(study)] == [TrialState.FAIL]


def test_fewer_trials_wished_meanwhile_lose_none(opened: Open, undisturbed: list[tuple[float, float]]) -> None:
    study = opened()
    killed = study.ask()
    work(study, 3, _objective, [])  # places 1 and 2; the first is taken over
    assert killed.number == 0
    lost = study.ask()
    lost.set_user_attr(OWNER, _gone())
    work(study, 1, _objective, [])
    work(study, 4, _objective, [])
    assert _tried(study) == undisturbed


def test_faults_of_the_objective_are_told(opened: Open) -> None:
    def broken(trial: Any) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work(opened(), 4, broken, [])


def test_places_do_not_hang_on_who_was_killed(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    study = opened()
    monkeypatch.setattr(NumberedSampler, "before_trial", lambda *given: None)
    for _ in range(3):
        study.ask()
    study.tell(1, state=TrialState.FAIL)
    take_over(study)
    assert [place_of(study, trial) for trial in study.trials] == [0, 1, 2, 1]


@pytest.mark.parametrize(("sampler", "pruned"), [("random", False), ("tpe", True)])
def test_random_trials_run_to_their_end_however_bad_they_begin(sampler: str, pruned: bool, tmp_path: Path) -> None:
    """What is pruned depends on which trials have ended, and so on how many workers there are."""
    study = open_study(f"sqlite:///{tmp_path / 'study.db'}", "s", seed=13, sampler=sampler)
    for _ in range(STARTUP):
        good = study.ask()
        good.report(0.9, 0)
        study.tell(good, 0.9)
    bad = study.ask()
    bad.report(0.1, 0)
    assert bool(bad.should_prune()) is pruned

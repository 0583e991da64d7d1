"""The search's workers: who takes over from whom, and when there are enough trials."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from train.common.signals import Interrupted
from train.studies.search import workers as search
from train.studies.search.workers import OWNER, STARTUP, ended, open_study, take_over, work

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")
Open = Callable[[], Any]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens the study anew, as another process would."""
    return lambda: open_study(f"sqlite:///{tmp_path / 'study.db'}", "s", seed=13, sampler="random")


def _objective(trial: Any) -> float:
    x, y = (float(trial.suggest_float(name, 0, 1)) for name in ("x", "y"))
    return x + y


def _tried(study: Any) -> list[tuple[float, float]]:
    return [(trial.params["x"], trial.params["y"]) for trial in ended(study)]


@pytest.fixture(scope="module")
def dead() -> str:
    """The name of a process of this machine that is no more."""
    code = "from train.common.signals import process_id; print(process_id())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_one_process_alone_tries_the_same_trials_each_time(opened: Open, tmp_path: Path) -> None:
    other = open_study(f"sqlite:///{tmp_path / 'other.db'}", "s", seed=13, sampler="random")
    for study in (opened(), other):
        work(study, 4, _objective)
    assert _tried(opened()) == _tried(other)
    assert len(set(_tried(other))) == 4


def test_a_search_that_goes_on_draws_other_trials(opened: Open) -> None:
    work(opened(), 2, _objective)
    work(opened(), 5, _objective)
    assert len(set(_tried(opened()))) == 5


def test_the_trial_of_a_killed_worker_is_asked_again_with_its_settings(opened: Open, dead: str) -> None:
    study = opened()
    killed = study.ask()
    _objective(killed)
    killed.set_user_attr(OWNER, dead)
    work(study, 3, _objective)
    assert (killed.params["x"], killed.params["y"]) in _tried(study)
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, *[TrialState.COMPLETE] * 3]


def test_a_worker_killed_before_it_put_its_name_is_not_waited_for(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened()
    study.ask()
    take_over(study)
    assert study.trials[0].state == TrialState.RUNNING, "it may be about to"
    monkeypatch.setattr(search, "GRACE_S", -1)
    work(study, 2, _objective)
    assert len(ended(study)) == 2


def test_two_that_take_over_the_same_trial_ask_it_again_once(
    opened: Open, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, other = opened(), opened()
    study.ask().set_user_attr(OWNER, dead)
    seen = study.get_trials()
    take_over(other)
    monkeypatch.setattr(study, "get_trials", lambda **_: seen)  # it looked at the same moment
    take_over(study)
    assert [trial.state for trial in other.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_a_process_that_begins_again_takes_up_its_own_trial(opened: Open) -> None:
    def killed(trial: Any) -> float:
        _objective(trial)
        raise Interrupted(9)

    with pytest.raises(Interrupted):
        work(opened(), 2, killed)
    study = opened()
    drawn = study.trials[0].params
    take_over(study, own=True)
    work(study, 2, _objective)
    assert tuple(drawn.values()) in _tried(study)


def test_a_worker_whose_trial_was_taken_over_goes_on(opened: Open, capsys: pytest.CaptureFixture[str]) -> None:
    first = True

    def slept(trial: Any) -> float:
        nonlocal first
        if first:
            first = False
            other = opened()  # another machine, which has heard nothing for a minute
            other.tell(trial.number, state=TrialState.FAIL)
            search._ask_again(other, other.trials[trial.number])
        return _objective(trial)

    study = opened()
    work(study, 4, slept)
    assert len(ended(study)) == 4
    assert "a trial was ended by another worker" in capsys.readouterr().err


def test_settings_that_kill_their_workers_are_not_asked_for_ever(
    opened: Open, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_KILLS", 2)
    study = opened()
    for _ in range(3):
        study.ask().set_user_attr(OWNER, dead)
        take_over(study)
    assert {trial.state for trial in study.trials} == {TrialState.FAIL}


def test_the_heartbeat_of_another_machine_tells_that_it_is_gone(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "GRACE_S", 1)
    study = opened()
    trial = study.ask()
    trial.set_user_attr(OWNER, "elsewhere 1")
    study._storage.record_heartbeat(trial._trial_id)
    session = study._storage._backend.scoped_session
    beat = session.query(optuna.storages._rdb.models.TrialHeartbeatModel).one()
    beat.heartbeat -= timedelta(seconds=5)
    session.commit()
    work(study, 1, _objective)
    assert study.trials[0].state == TrialState.FAIL
    assert len(ended(study)) == 1


def test_faults_of_the_objective_are_told(opened: Open) -> None:
    for fault in (ZeroDivisionError, ValueError):

        def broken(trial: Any, fault: type[Exception] = fault) -> float:
            raise fault

        with pytest.raises(fault):
            work(opened(), 4, broken)
    study = opened()
    work(study, 2, _objective)
    assert len(ended(study)) == 2, "what failed is not counted"


@pytest.mark.parametrize(("sampler", "pruned"), [("random", False), ("tpe", True)])
def test_random_trials_run_to_their_end_however_bad_they_begin(sampler: str, pruned: bool, tmp_path: Path) -> None:
    study = open_study(f"sqlite:///{tmp_path / 'study.db'}", "s", seed=13, sampler=sampler)
    for _ in range(STARTUP):
        good = study.ask()
        good.report(0.9, 0)
        study.tell(good, 0.9)
    bad = study.ask()
    bad.report(0.1, 0)
    assert bool(bad.should_prune()) is pruned

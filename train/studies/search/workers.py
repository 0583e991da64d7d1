"""An Optuna study that several processes work on.

Optuna does the work: its heartbeat tells of a worker that is gone, its retry callback asks that worker's trial again,
and its sampler draws from what has ended. Ours is the owner that a trial names, which tells at once, not after the
heartbeat's minute, that a process of this machine is gone. One process that nobody disturbs tries the same trials each
time; with several workers, or after a kill, they are others.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

import optuna
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from train.common.console import console
from train.common.errors import InputError
from train.common.signals import owner_is_dead, process_id

STARTUP = 6
"""Trials drawn at random before the sampler models them, and before any is pruned."""
SAMPLERS = ("tpe", "random")
ATTEMPTS = 5
HEARTBEAT_S, GRACE_S = 10, 60
"""How often a worker says that it is at work, and how long a worker of another machine may be silent before its trial
is asked again."""
MOST_KILLS = 10
"""How often a trial whose workers were killed is asked again: its settings may be what kills them, as when memory
ends."""
OWNER = "owner"
"""The attribute of a trial that names the process at work on it."""
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states of trials that count; one that failed was killed, or met an error that ended its worker."""


@contextmanager
def _experimental() -> Iterator[None]:
    """Optuna calls its heartbeat experimental, though it has been there since 2.8."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _ask_again(study: Any, trial: FrozenTrial) -> None:
    """Puts the settings of a killed trial up for any worker, unless they were killed too often."""
    trial = deepcopy(trial)
    trial.user_attrs.pop(OWNER, None)  # else whoever takes it would pass for the process that is gone
    with _experimental():
        RetryHeartbeatStaleTrialCallback(max_retry=MOST_KILLS)(study, trial)


def open_study(storage: str, name: str, *, seed: int, sampler: str) -> Any:
    """Opens a study, or makes it.

    Args:
        storage: A database URL, e.g. `sqlite:///study.db` or `postgresql://…`.
        name: The name of the study.
        seed: The seed of a new study's draws; who joins or resumes a study draws from a seed of its own, else it would
            draw the same again.
        sampler: One of `SAMPLERS`; with `random` no trial is pruned.

    Raises:
        InputError: The database does not answer, or is MLflow's own.
    """
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    try:
        engine = sqlalchemy.create_engine(storage)
        tables = set(sqlalchemy.inspect(engine).get_table_names())
        engine.dispose()
        if {"experiments", "runs"} <= tables:
            raise InputError(
                "that database is MLflow's",
                expected="one of its own for studies: Optuna and MLflow both keep a table alembic_version there",
                remedy="create another on the same server and name it in STORAGE=",
                rule="no-storage",
            )
        study = _create_study(storage, name)
    except (SQLAlchemyError, ImportError, optuna.exceptions.StorageInternalError) as error:
        # What SQLAlchemy says may hold the password.
        raise InputError(
            f"no study can be kept there: {type(error).__name__}",
            expected="a database that answers, and its driver",
            remedy="start it, or mend STORAGE= (and pip install 'newsparts[server]')",
            rule="no-storage",
        ) from None
    own_seed = None if study.trials else seed
    if sampler == "tpe":
        study.sampler = TPESampler(seed=own_seed, n_startup_trials=STARTUP)
        study.pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP)
    else:
        study.sampler, study.pruner = RandomSampler(seed=own_seed), optuna.pruners.NopPruner()
    return study


def _create_study(storage: str, name: str) -> Any:
    """Loads the study or creates it; tries again when others create the tables of an empty database just then."""
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    timeout = {"connect_args": {"timeout": 60}} if storage.startswith("sqlite") else None
    for more in reversed(range(ATTEMPTS)):
        try:
            with _experimental():
                database = RDBStorage(
                    storage,
                    heartbeat_interval=HEARTBEAT_S,
                    grace_period=GRACE_S,
                    engine_kwargs=timeout,
                    heartbeat_stale_trial_callback=_ask_again,
                )
                return optuna.create_study(storage=database, study_name=name, direction="maximize", load_if_exists=True)
        except (IntegrityError, ProgrammingError):
            if not more:
                raise
            time.sleep(1)


def ended(study: Any) -> list[FrozenTrial]:
    """The trials that count: those that came to their end, or were pruned."""
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False, states=COUNTED)
    return trials


def take_over(study: Any, *, own: bool = False) -> None:
    """Asks trials again whose process on this machine is gone; of other machines, Optuna's heartbeat tells.

    Args:
        study: The study.
        own: Whether to ask those of this very process again too, which has begun anew.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        owner = trial.user_attrs.get(OWNER)
        if owner is None:  # its worker may have been killed before it named itself, and sent no heartbeat
            started = trial.datetime_start
            left = started is not None and datetime.now() - started > timedelta(seconds=GRACE_S)
        else:
            left = owner_is_dead(owner) or (own and owner == process_id())
        if left:
            with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):  # another worker was quicker
                study.tell(trial.number, state=TrialState.FAIL)
                _ask_again(study, trial)


def work(study: Any, n: int, objective: Callable[[Any], float]) -> None:
    """Works on trials until `n` of them have ended, whoever works on the others.

    Two workers that begin their last trial at the same moment make one more than `n`.

    Args:
        study: The study (`open_study`).
        n: The number of trials in all.
        objective: Returns the score of a trial; may raise `TrialPruned`.
    """
    begun, raised = False, None

    def owned(trial: Any) -> float:
        nonlocal begun, raised
        begun = True
        try:
            trial.set_user_attr(OWNER, process_id())
            return objective(trial)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            raised = error
            raise

    while (done := len(ended(study))) < n:
        take_over(study)
        trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
        if done + len(trials) >= n and all(trial.state == TrialState.RUNNING for trial in trials):
            time.sleep(0.5)  # their workers may be killed yet
            with _experimental():
                optuna.storages.fail_stale_trials(study)
            continue
        begun, raised = False, None
        try:
            with _experimental():
                study.optimize(owned, n_trials=1)
        except (optuna.exceptions.UpdateFinishedTrialError, ValueError):
            if not begun:
                raise
            if raised is not None and not isinstance(raised, optuna.exceptions.UpdateFinishedTrialError):
                raise raised from None  # the objective's own error
            console.print("a trial was ended by another worker, who took it over", style="yellow")

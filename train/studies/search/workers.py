"""An Optuna study that several processes work on: who draws what, who takes over from whom, when it is done."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from train.common.console import console
from train.common.errors import InputError
from train.common.signals import gone, me, seen_for

STARTUP = 6
"""Trials drawn at random before the sampler models them, and before any is pruned."""
SAMPLERS = ("tpe", "random")
ATTEMPTS = 5
HEARTBEAT_S, GRACE_S = 10, 60
"""A worker says so often that it is at work; a trial whose worker on another machine, or of no name yet, has been
silent for so long is taken over."""
MOST_KILLS = 10
"""A trial that was killed so often once its settings were drawn counts as failed: they may be what kills it, as when
memory ends."""
OWNER, SURPLUS, DRAWN = "owner", "surplus", "drawn"
"""What a trial tells of itself: whose it is; that there were enough of them; that all its settings are drawn."""


@contextmanager
def _experimental() -> Iterator[None]:
    """Optuna calls its heartbeat experimental, though it has been there since 2.8."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _retries(trial: FrozenTrial) -> list[int]:
    """Numbers of the trials that this one is asked again for, the first of them first."""
    with _experimental():
        return list(RetryHeartbeatStaleTrialCallback.retry_history(trial))


def _ask_again(study: Any, trial: FrozenTrial) -> None:
    """Puts a killed trial up for any worker, unless it was asked again already, is one too many or was killed too
    often."""
    if trial.number in _set_aside(study.get_trials(deepcopy=False)):
        return
    if trial.user_attrs.get(DRAWN) and len(_retries(trial)) >= MOST_KILLS:
        console.print(
            f"trial {trial.number} was killed {MOST_KILLS} times before, and counts as failed", style="yellow"
        )
        return
    trial = deepcopy(trial)
    trial.user_attrs.pop(OWNER, None)  # who takes it would pass for one that is gone
    if not trial.user_attrs.get(DRAWN):
        trial.params, trial.distributions = {}, {}  # half a draw would change the other half
    with _experimental():
        RetryHeartbeatStaleTrialCallback()(study, trial)


class NumberedSampler(BaseSampler):
    """Draws each trial from a generator seeded by the trial's place in the search, so that neither a kill nor the
    number of workers changes it.

    A random trial depends on its place alone; one of TPE also on the trials that have ended when it is drawn.

    Args:
        seed: Of the search.
        sampler: `tpe` (random for the first `STARTUP`) or `random`.
    """

    def __init__(self, seed: int, sampler: str) -> None:
        self._seed, self._sampler = seed, sampler
        self._drawing: BaseSampler = RandomSampler(seed=seed)

    def before_trial(self, study: Any, trial: FrozenTrial) -> None:
        place = place_of(study, trial)
        seed = self._seed + place
        modelled = self._sampler == "tpe" and place >= STARTUP
        self._drawing = TPESampler(seed=seed, n_startup_trials=1) if modelled else RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: Any, trial: FrozenTrial) -> dict[str, Any]:
        found: dict[str, Any] = self._drawing.infer_relative_search_space(study, trial)
        return found

    def sample_relative(self, study: Any, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._drawing.sample_relative(study, trial, search_space)
        return found

    def sample_independent(self, study: Any, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        return self._drawing.sample_independent(study, trial, param_name, param_distribution)


def open_study(storage: str, name: str, *, seed: int, sampler: str) -> Any:
    """Opens a study, or makes it.

    Args:
        storage: A database URL, e.g. `sqlite:///study.db` or `postgresql://…`.
        name: Of the study.
        seed: Of its draws.
        sampler: One of `SAMPLERS`; with `random` no trial is pruned, for what is pruned depends on which trials have
            ended.

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
                remedy="create another on the same server and name it, STORAGE=postgresql://user:password@host/another",
                rule="no-storage",
            )
        study = _made(storage, name)
    except (SQLAlchemyError, ImportError, optuna.exceptions.StorageInternalError) as error:
        # What SQLAlchemy says may hold the password.
        raise InputError(
            f"no study can be kept there: {type(error).__name__}",
            expected="a database that answers, and its driver",
            remedy="start it, or mend STORAGE=postgresql://user:password@host/database (and pip install "
            "'newsparts[server]')",
            rule="no-storage",
        ) from None
    study.sampler = NumberedSampler(seed, sampler)
    study.pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=STARTUP) if sampler == "tpe" else optuna.pruners.NopPruner()
    )
    return study


def _made(storage: str, name: str) -> Any:
    """The study, made if need be; tried again when others make the tables of an empty database at the same moment."""
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


def _set_aside(trials: Sequence[FrozenTrial]) -> set[int]:
    """Numbers of trials in whose place others stand: they were asked again, or asked again twice as two workers found
    them, or enqueued twice as two began the search, or there were enough."""
    asked_again: dict[tuple[int, ...], list[int]] = {}
    for trial in trials:
        if retries := _retries(trial):
            asked_again.setdefault(tuple(retries), []).append(trial.number)
    killed = {number for retries in asked_again for number in retries}
    twice = {number for numbers in asked_again.values() for number in sorted(numbers)[1:]}
    enqueued = [trial.number for trial in trials if "fixed_params" in trial.system_attrs and not _retries(trial)]
    return killed | twice | set(enqueued[1:]) | {trial.number for trial in trials if trial.user_attrs.get(SURPLUS)}


def _idle(trial: FrozenTrial) -> bool:
    """Whether a trial ended before its settings were drawn, as the database was busy; it is asked again."""
    return trial.state == TrialState.FAIL and not trial.user_attrs.get(DRAWN)


def _counted(study: Any) -> list[FrozenTrial]:
    trials = study.get_trials(deepcopy=False)
    without = _set_aside(trials)
    return [trial for trial in trials if trial.number not in without]


def place_of(study: Any, trial: FrozenTrial) -> int:
    """The place of a trial in its search: how many that count were asked before it, or before the one it is asked again
    for."""
    return sum(_first(other) < _first(trial) for other in _counted(study))


def _first(trial: FrozenTrial) -> int:
    return int((_retries(trial) or [trial.number])[0])


def ended(study: Any) -> list[FrozenTrial]:
    """The trials that count and have ended."""
    return [trial for trial in _counted(study) if trial.state.is_finished() and not _idle(trial)]


def _too_many(study: Any, number: int, n: int) -> bool:
    """Whether another trial stands in the place of this one, or another worker took the last place at the same time."""
    trials = study.get_trials(deepcopy=False)
    trial = trials[number]
    if number in _set_aside(trials):
        return True
    # Where later places have ended, more trials were wished before.
    return place_of(study, trial) >= n and not any(_first(other) > _first(trial) for other in ended(study))


def take_over(study: Any, nameless: MutableMapping[int, float] | None = None, *, own: bool = False) -> None:
    """Asks trials again whose process on this machine is gone; of other machines, Optuna's heartbeat tells.

    Args:
        study: The study.
        nameless: Trials that nobody has put a name to -> when they were first seen so, by this process's clock; kept
            between calls. A worker that was killed before it said that it is there would be waited for for ever.
        own: Also those of this very process, which has begun again.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.FAIL)):
        owner = str(trial.user_attrs.get(OWNER, ""))
        if trial.state == TrialState.FAIL:
            left = _idle(trial)
        elif owner:
            left = gone(owner) or (own and owner == me())
        else:
            left = nameless is not None and seen_for(nameless, trial.number) > GRACE_S
        if left:
            _ask_again(study, trial)  # before it ends: else a kill in between would lose it
            with suppress(ValueError, RuntimeError):  # it has ended
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def work(study: Any, n: int, objective: Callable[[Any], float], failed: Sequence[type[Exception]]) -> None:
    """Works on trials until `n` of them have ended, whoever works on the others.

    Args:
        study: Of `open_study`.
        n: Trials in all.
        objective: What a trial scores; sets the trial's attribute `DRAWN` once its settings are drawn, and may raise
            `TrialPruned` then.
        failed: What it raises when a trial cannot be.
    """

    mine: int | None = None
    raised: Exception | None = None

    def owned(trial: Any) -> float:
        nonlocal mine, raised
        mine = trial.number
        try:
            trial.set_user_attr(OWNER, me())
            if _too_many(study, mine, n):
                trial.set_user_attr(SURPLUS, True)
                raise optuna.TrialPruned
            return objective(trial)
        except (optuna.TrialPruned, *failed):
            raise
        except Exception as error:
            raised = error
            raise

    nameless: dict[int, float] = {}
    while True:
        take_over(study, nameless)
        trials = _counted(study)
        if any(trial.state == TrialState.WAITING for trial in trials) or len(trials) < n:
            mine = raised = None
            try:
                with _experimental():
                    study.optimize(owned, n_trials=1, catch=tuple(failed))
            except Exception as error:
                # Optuna raises the objective's own error where the trial was still ours to end.
                if error is raised or mine is None or not study.get_trials(deepcopy=False)[mine].state.is_finished():
                    raise
                if raised is not None and not isinstance(raised, optuna.exceptions.UpdateFinishedTrialError):
                    raise raised from None
                console.print(f"trial {mine} was ended by another worker, who took it over", style="yellow")
        elif any(trial.state == TrialState.RUNNING or _idle(trial) for trial in trials):
            time.sleep(0.5)  # its worker may be killed yet
            with _experimental():
                optuna.storages.fail_stale_trials(study)
        else:
            return

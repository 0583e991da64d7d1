"""The life of an MLflow run: begun, gone on with, ended."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from train.common.addresses import without_secrets
from train.common.console import console
from train.common.environment import environment, git_state
from train.common.errors import InputError
from train.common.signals import Interrupted, owner_is_dead, signals_raise
from train.config.schema import Config
from train.tracking.outbox import UNSENT, Outbox
from train.tracking.senders import model_of, quiet, send
from train.tracking.store import connect, no_answer, shown_uri
from train.tracking.tracker import MlflowTracker, Tracker, run_context

LONGEST_RUN_S = 7 * 24 * 3600.0
"""A run that is RUNNING for longer is taken for dead: nobody here knows of processes on other machines, containers
among them."""


@contextmanager
def tracked_run(
    config: Config,
    *,
    resume: str | None,
    fallback_name: str,
    folder: Path,
    changes: str = "",
    parent: Tracker | None = None,
) -> Iterator[Tracker]:
    """One MLflow run around a block.

    The run ends FINISHED when the block does, FAILED when it raises, KILLED on SIGTERM, SIGINT and SIGHUP. A run whose
    process was killed outright cannot say so; the next run on this machine marks it FAILED, unless it goes on with it.
    When the store goes away meanwhile, the block goes on, and what the store was not told is kept in the folder.

    Args:
        config: The resolved config; logged as flat params when the run is new.
        resume: Id of the run to go on with, or None.
        fallback_name: Run name when the config gives none.
        folder: Where the block works, and `unsent.jsonl` is kept.
        changes: What was changed in the config, for the run's name.
        parent: Put the run, under the fallback name, below this one; its folder is used.

    Raises:
        InputError: The store does not answer, or the folder keeps what the store was never told of another run.
    """
    if not config.tracking.enabled:
        with signals_raise():
            yield Tracker()
        return
    if isinstance(parent, MlflowTracker):
        # The store may be away just now: the run is put under a name of ours, and made when it answers.
        tracker, resume = MlflowTracker(uuid.uuid4().hex, parent.experiment, parent.outbox), None
        tracker.put(
            "run",
            experiment=parent.experiment,
            name=fallback_name,
            tags=run_context({**_owner(), "mlflow.parentRunId": str(parent.run_id)}),
        )
    else:
        tracker, resume = _begin(
            config, resume, ", ".join(filter(None, (config.tracking.run_name or fallback_name, changes))), folder
        )
    status = "FAILED"
    try:
        with signals_raise():
            if resume is None:
                tracker.params(config.flat())
            else:
                tracker.tags({"resumed": "true"})
            tracker.tags({**_owner(), "family": config.family, **git_state(), **environment()})
            yield tracker
        status = "FINISHED"
    except (KeyboardInterrupt, Interrupted) as error:
        status = "KILLED"
        tracker.tags({"ended_by": repr(error)})
        raise
    except BaseException as error:
        tracker.tags({"ended_by": without_secrets(f"{type(error).__name__}: {error}")[:500]})
        raise
    finally:
        tracker.put("end", status=status)
        if parent is None:
            _report_pending(tracker.outbox, folder)


@contextmanager
def joined_run(config: Config, run_id: str, folder: Path) -> Iterator[Tracker]:
    """A run that another process leads and ends, as parent of runs of this one.

    Args:
        config: The resolved config of the run.
        run_id: The MLflow id of the run.
        folder: Where this process keeps what the store does not take.
    """
    with signals_raise():
        if not config.tracking.enabled:
            yield Tracker()
            return
        experiment = connect(config.tracking.experiment)
        folder.mkdir(parents=True, exist_ok=True)
        outbox = _outbox(folder / UNSENT)
        try:
            yield MlflowTracker(run_id, experiment, outbox)
        finally:
            _report_pending(outbox, folder)


def _begin(config: Config, resume: str | None, name: str, folder: Path) -> tuple[MlflowTracker, str | None]:
    """Goes on with a run, or makes one; returns its tracker, and the run it goes on with."""
    experiment = connect(config.tracking.experiment)
    import mlflow
    from mlflow.exceptions import MlflowException

    folder.mkdir(parents=True, exist_ok=True)
    outbox = _outbox(folder / UNSENT)
    why = outbox.flush()
    if outbox.runs() - {resume}:
        raise InputError(
            f"{outbox.pending} things that MLflow was not told of run {min(outbox.runs())}: {why}",
            expected="that they were sent",
            remedy="make send MODEL=THIS FOLDER; or move the file away, and they are lost",
            path=outbox.path,
            rule="unsent",
        )
    client = mlflow.MlflowClient()
    try:
        with quiet():
            if resume is not None:
                try:
                    client.update_run(resume, status="RUNNING")
                except MlflowException as error:
                    if error.error_code != "RESOURCE_DOES_NOT_EXIST" and "deleted" not in str(error):
                        raise
                    resume = None
            _close_dead_runs(client, experiment, but=resume)
            run = resume or client.create_run(experiment, tags=run_context(_owner()), run_name=name).info.run_id
    except (MlflowException, OSError) as error:
        raise no_answer(error) from None
    return MlflowTracker(run, experiment, outbox), resume


def _outbox(path: Path) -> Outbox:
    return Outbox(path, send, f"MLflow at {shown_uri()}")


def _owner() -> dict[str, str]:
    return {"host": platform.node(), "pid": str(os.getpid())}


def send_pending(folder: Path) -> tuple[int, dict[str, str]]:
    """Sends what a folder keeps for the store.

    Returns:
        How many things were sent, and the URIs of models by run.

    Raises:
        InputError: The folder keeps nothing, or the store does not take it.
    """
    connect()
    boxes = [_outbox(path) for path in (folder / UNSENT, *sorted(folder.glob(f"worker-*/{UNSENT}")))]
    kept = sum(box.pending for box in boxes)
    if not kept:
        raise InputError(
            "nothing unsent",
            expected=f"{UNSENT}, as a run leaves it whose store was away",
            remedy="check the folder",
            path=folder,
            rule="nothing-unsent",
        )
    models: dict[str, str] = {}
    for box in boxes:
        runs = box.runs()
        why = box.flush()
        if why is not None:
            raise InputError(
                f"{sum(box.pending for box in boxes)} of {kept} things are still unsent: {why}",
                expected="a store that takes them",
                remedy="mend it, then again",
                path=box.path,
                rule="unsent",
            )
        models |= {
            run: box.names[model_of(run)] for run in runs | set(box.names.values()) if model_of(run) in box.names
        }
    return kept, models


def _report_pending(outbox: Outbox, folder: Path) -> None:
    why = outbox.flush()
    if why is not None:
        console.print(
            f"{outbox.pending} things that {outbox.where} was not told are kept in {outbox.path} ({why}); `make send "
            f"MODEL={folder}` sends them",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )


def _close_dead_runs(client: Any, experiment: str, *, but: str | None) -> None:
    """Marks FAILED what is still RUNNING though its process on this machine is gone, or it began too long ago; one that
    works on all the same ends as it would have."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=100):
        tags = run.data.tags
        too_old = time.time() - run.info.start_time / 1000 > LONGEST_RUN_S
        if run.info.run_id != but and (too_old or owner_is_dead(f"{tags.get('host')} {tags.get('pid', 0)}")):
            client.set_tag(run.info.run_id, "ended_by", "the process was gone")
            client.set_terminated(run.info.run_id, "FAILED")

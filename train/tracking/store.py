"""The MLflow store: where it is, whether it answers, what it holds."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import TypeVar

from train.common.addresses import sqlite_file, sqlite_uri, without_secrets
from train.common.environment import ROOT
from train.common.errors import InputError, refusal_of_the_disk
from train.common.lock import in_use
from train.tracking.plain_paths import find_mlflow
from train.tracking.senders import NOTE, artifact_page, first_line, quiet

EXPERIMENT = REGISTERED_MODEL = "newsparts"
_VIEW = {
    "orderByKey": "metrics.`test/role/macro_f1`",
    "orderByAsc": False,
    "selectedColumns": [
        f"metrics.`{name}`"
        for name in (
            "test/role/macro_f1",
            "test/role/macro_f1/low",
            "test/role/macro_f1/high",
            "test/role/f1/related",
            "test/topic/macro_f1",
            "test/role/ece",
            "cost/train_s",
            "cost/segments_per_s",
        )
    ],
}
"""What the table of runs shows: the state of the UI that its 'share' button keeps, as plain JSON (not documented; a
browser test guards it)."""
_EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "test/role/macro_f1",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    f"mlflow.sharedViewState.{EXPERIMENT}": json.dumps(_VIEW),
    NOTE: "Runs of newsparts, the best of `test/role/macro_f1` on top (`/low` and `/high`: 95 % interval over unseen "
    "sites). A run's description has its result, "
    "and links to its report, errors, pages and model card. Compare runs of the same `corpus.sha256` and "
    "`split.sha256` alone; `make compare` tells "
    "differences with paired intervals.",
}
FIRST_S = 300.0
"""For how long another process may be making the tables of a store."""
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
"""The variable that tells MLflow where a new store's first experiment keeps artifacts."""
T = TypeVar("T")


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, else the SQLite file at the repository root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(ROOT / "mlflow.db")


def shown_uri() -> str:
    """The store's address as it may be printed: without a password."""
    return without_secrets(tracking_uri())


def connect(experiment: str = EXPERIMENT) -> str:
    """Points MLflow at the store, makes the experiment when it is new, and returns its id.

    Artifacts of a SQLite store go beside its file, to `mlartifacts/`; a server decides for itself.

    Raises:
        InputError: The store does not answer, or its experiment was deleted.
    """
    # A store that is away must not hold training up: the outbox tries again later.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    find_mlflow()
    import mlflow
    from mlflow.exceptions import MlflowException

    uri = tracking_uri()
    file = sqlite_file(uri)
    if file is not None and not file.parent.is_dir():  # MLflow itself would try for minutes, and not name it
        raise InputError(
            "no such folder",
            expected="the folder of MLflow's SQLite file",
            remedy="make it, or mend MLFLOW_TRACKING_URI, where %25 stands for %, and %3F for ?",
            path=file.parent,
            rule="no-mlflow",
        )
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    location = (file.resolve().parent / "mlartifacts").as_uri() if file else None
    if location is not None:
        # Else MLflow takes the working directory, whose quotes it would put into SQL as they are.
        os.environ[_ARTIFACT_ROOT] = location
    try:
        # The first to come makes the tables of a file, or brings them up to date; two at once break each other.
        with in_use(file.resolve(), wait_s=FIRST_S) if file else nullcontext(), quiet():
            known = mlflow.get_experiment_by_name(experiment)
            if known is None:
                try:
                    mlflow.create_experiment(experiment, artifact_location=location, tags=_EXPERIMENT_TAGS)
                except MlflowException as error:
                    # Another process may have made it since we looked.
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                known = mlflow.get_experiment_by_name(experiment)
            if known.lifecycle_stage != "active":
                raise InputError(
                    f"the experiment {experiment!r} of {uri} was deleted",
                    expected="one that is active",
                    remedy=f"restore it: MLFLOW_TRACKING_URI=… .venv/bin/mlflow experiments restore --experiment-id "
                    f"{known.experiment_id}; or name another: tracking.experiment=NAME",
                    rule="deleted-experiment",
                )
            for tag in _EXPERIMENT_TAGS.keys() - known.tags.keys():
                mlflow.MlflowClient().set_experiment_tag(known.experiment_id, tag, _EXPERIMENT_TAGS[tag])
            mlflow.set_experiment(experiment_id=known.experiment_id)
            return str(known.experiment_id)
    except (MlflowException, OSError) as error:
        raise no_answer(error) from None
    finally:
        os.environ.pop(_ARTIFACT_ROOT, None)


def no_answer(error: BaseException) -> InputError:
    """The error for a store that does not answer, by what it said."""
    return refusal_of_the_disk(error) or InputError(
        f"MLflow at {tracking_uri()} does not answer: {first_line(error)}",
        expected="a reachable tracking store",
        remedy="start the server, mend or unset MLFLOW_TRACKING_URI, or set tracking.enabled=false",
        rule="no-mlflow",
    )


def runs_page(experiment_id: str) -> str:
    """Where MLflow's UI shows the runs with their scores; without it, it opens on pages for language models."""
    return f"#/experiments/{experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={EXPERIMENT}"


def has_model(uri: str) -> bool:
    """Whether the store has the logged model of a `models:/m-…` URI.

    Raises:
        InputError: The store does not answer.
    """
    connect()
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.get_logged_model(uri.removeprefix("models:/"))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise no_answer(error) from None
        return False
    return True


def attach(run_id: str, file: Path, folder: str, note: str) -> bool:
    """Adds a file to a run that has ended, and a line about it to the run's description.

    Args:
        run_id: The MLflow id of the run.
        file: The file to add.
        folder: The artifact folder it goes to; it names the link, too.
        note: The line; a link to the file follows it.

    Returns:
        False where the store has no such run, or it was deleted.
    """
    connect()
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    try:
        run = client.get_run(run_id)
    except MlflowException:
        return False
    if run.info.lifecycle_stage != "active":
        return False
    client.log_artifact(run_id, str(file), folder)
    address = artifact_page(run.info.experiment_id, run_id, f"{folder}/{file.name}")
    before = [part for part in run.data.tags.get(NOTE, "").split("\n\n") if address not in part]
    client.set_tag(run_id, NOTE, "\n\n".join([*before, f"{note} ([{folder}]({address}))"]))
    return True

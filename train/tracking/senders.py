"""How each thing of a run is told to MLflow; `tracking` says what, `outbox` when."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from train.common.addresses import without_secrets
from train.common.errors import InputError
from train.tracking.outbox import Away, Entry

NOTE = "mlflow.note.content"
"""The tag that holds a run's description."""


def send(entry: Entry) -> dict[str, str]:
    """Tells the store one thing.

    Raises:
        Away: It does not answer, or does not take it.
        InputError: A file that was to be sent is gone.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    for gone in (Path(entry[name]) for name in ("path", "bundle") if name in entry):
        if not gone.exists():
            raise InputError(
                f"the {entry['op']} of run {entry['run']} is gone",
                expected="it, unchanged until it was sent",
                path=gone,
                rule="unsent-gone",
                remedy="put it back; or delete its line in unsent.jsonl, and the run is without it",
            )
    try:
        with quiet():
            return SENDERS[entry["op"]](mlflow.MlflowClient(), entry) or {}
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE" and "deleted" not in str(error):
            raise  # ours to mend; it would not be taken later either
        raise Away(first_line(error)) from error
    except OSError as error:
        raise Away(first_line(error)) from error


def _send_run(client: Any, entry: Entry) -> dict[str, str]:
    made = client.create_run(entry["experiment"], start_time=entry["time"], tags=entry["tags"], run_name=entry["name"])
    return {entry["run"]: made.info.run_id}


def _send_metrics(client: Any, entry: Entry) -> None:
    _log_metrics(client, entry, entry["metrics"], entry["step"])


def _log_metrics(client: Any, entry: Entry, metrics: Mapping[str, float], step: int, **of: Any) -> None:
    from mlflow.entities import Metric

    client.log_batch(
        entry["run"], metrics=[Metric(name, value, entry["time"], step, **of) for name, value in metrics.items()]
    )


def _send_params(client: Any, entry: Entry) -> None:
    from mlflow.entities import Param

    client.log_batch(entry["run"], params=[Param(name, value) for name, value in entry["params"].items()])


def _send_tags(client: Any, entry: Entry) -> None:
    from mlflow.entities import RunTag

    client.log_batch(entry["run"], tags=[RunTag(name, value) for name, value in entry["tags"].items()])


def _send_file(client: Any, entry: Entry) -> None:
    client.log_artifact(entry["run"], entry["path"], entry["folder"])


def _send_note(client: Any, entry: Entry) -> None:
    linked = " · ".join(
        f"[{name}]({artifact_page(entry['experiment'], entry['run'], path)})" for name, path in entry["links"].items()
    )
    client.set_tag(entry["run"], NOTE, f"{entry['text']} {linked}")


def _send_dataset(client: Any, entry: Entry) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    client.log_inputs(
        entry["run"], [DatasetInput(Dataset(**entry["dataset"]), [InputTag("mlflow.data.context", entry["part"])])]
    )


def _send_model(client: Any, entry: Entry) -> dict[str, str]:
    import mlflow

    from train.export.mlflow_flavor import log_bundle

    mlflow.start_run(run_id=entry["run"])  # MLflow takes the model's run from here
    try:
        info = log_bundle(Path(entry["bundle"]))
    finally:
        mlflow.end_run("RUNNING")
    if entry["metrics"]:
        _log_metrics(client, entry, entry["metrics"], 0, model_id=info.model_id, **entry["dataset"])
    return {model_of(entry["run"]): str(info.model_uri)}


def _send_end(client: Any, entry: Entry) -> None:
    client.set_terminated(entry["run"], entry["status"], entry["time"])


SENDERS: dict[str, Callable[[Any, Entry], dict[str, str] | None]] = {
    "run": _send_run,
    "metrics": _send_metrics,
    "params": _send_params,
    "tags": _send_tags,
    "file": _send_file,
    "note": _send_note,
    "dataset": _send_dataset,
    "model": _send_model,
    "end": _send_end,
}
"""What an entry's `op` may be."""


def artifact_page(experiment: str, run: str, path: str) -> str:
    """The address of an artifact in MLflow's UI, relative to the UI's root.

    Args:
        experiment: The experiment's id.
        run: The run's id.
        path: The artifact's path within the run.
    """
    return f"#/experiments/{experiment}/runs/{run}/artifacts/{path}?workflowType=machine_learning"


def model_of(run: str | None) -> str:
    """What a run's model is called before the store has it."""
    return f"model of {run}"


def first_line(error: BaseException) -> str:
    """The first line of what an error says, shortened, without passwords."""
    return without_secrets((str(error).splitlines() or [type(error).__name__])[0])[:200]


@contextmanager
def quiet() -> Iterator[None]:
    """Within the block, MLflow warns of nothing: what it says there is known and as it should be."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)  # also tracebacks: what is wrong is raised, and told by us
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)

"""The only file that talks to MLflow's tracking: where runs go, what every run says of itself, how a run ends."""

from __future__ import annotations

import json
import os
import platform
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from train.config import Config
from train.corpus.split import PARTS, Split
from train.errors import InputError, refusal_of_the_disk
from train.files import sha256_json, write_json
from train.interrupt import Interrupted, gone, signals_raise
from train.machine import ROOT, environment, git_state
from train.outbox import UNSENT, Outbox
from train.progress import console
from train.sending import NOTE, artifact_page, first_line, model_of, quiet, send

EXPERIMENT = REGISTERED_MODEL = "newsparts"

_VIEW = {
    "orderByKey": "metrics.`test/role/macro_f1`",
    "orderByAsc": False,
    "selectedColumns": [
        f"metrics.`{name}`"
        for name in (
            "test/role/macro_f1", "test/role/macro_f1/low", "test/role/macro_f1/high", "test/role/f1/related", "test/topic/macro_f1",
            "test/role/ece", "cost/train_s", "cost/segments_per_s",
        )
    ],
}  # fmt: skip
"""What the table of runs shows: the state of the UI that its 'share' button keeps, as plain JSON (not documented; a browser test guards it)."""
_EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "test/role/macro_f1",
    "mlflow.experiment.primaryMetric.greaterIsBetter": "True",
    f"mlflow.sharedViewState.{EXPERIMENT}": json.dumps(_VIEW),
    NOTE: "Runs of newsparts, the best of `test/role/macro_f1` on top (`/low` and `/high`: 95 % interval over unseen sites). A run's description has its result, "
    "and links to its report, errors, pages and model card. Compare runs of the same `corpus.sha256` and `split.sha256` alone; `make compare` tells "
    "differences with paired intervals.",
}

T = TypeVar("T")


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI`, else the SQLite file at the repository root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{ROOT / 'mlflow.db'}"


def connect(experiment: str = EXPERIMENT) -> str:
    """Points MLflow at the store, makes the experiment when it is new, and returns its id.

    Artifacts of a SQLite store go beside its file, to `mlartifacts/`; a server decides for itself.

    Raises:
        InputError: The store does not answer.
    """
    # A store that is away must not hold training up: the outbox tries again later.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.exceptions import MlflowException

    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with quiet():
            known = mlflow.get_experiment_by_name(experiment)
            if known is None:
                file = Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:///") else None
                location = (file.parent / "mlartifacts").as_uri() if file else None
                try:
                    mlflow.create_experiment(experiment, artifact_location=location, tags=_EXPERIMENT_TAGS)
                except MlflowException as error:
                    # Another process may have made it since we looked.
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                known = mlflow.get_experiment_by_name(experiment)
            for tag in _EXPERIMENT_TAGS.keys() - known.tags.keys():
                mlflow.MlflowClient().set_experiment_tag(known.experiment_id, tag, _EXPERIMENT_TAGS[tag])
            mlflow.set_experiment(experiment_id=known.experiment_id)
            return str(known.experiment_id)
    except (MlflowException, OSError) as error:
        raise _no_answer(error) from None


def _no_answer(error: BaseException) -> InputError:
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
    """Whether the store has the logged model of a `models:/m-…` URI."""
    connect()
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        mlflow.get_logged_model(uri.removeprefix("models:/"))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise _no_answer(error) from None
        return False
    return True


def attach(run_id: str, file: Path, folder: str, says: str) -> bool:
    """Adds a file to a run that has ended, and a line about it with a link to the run's description; False where the store has no such run, or it was deleted."""
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
    client.set_tag(run_id, NOTE, "\n\n".join([*before, f"{says} ([{folder}]({address}))"]))
    return True


class Tracker:
    """Records nothing; what a run uses when `tracking.enabled` is false."""

    @property
    def run_id(self) -> str | None:
        """Of the run, where there is one."""
        return None

    def step_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of a training step."""

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Metrics of the run."""

    def params(self, params: Mapping[str, Any]) -> None:
        """The run's settings."""

    def tags(self, tags: Mapping[str, str]) -> None:
        """Tags of the run."""

    def file(self, path: Path, folder: str | None = None) -> None:
        """A file as artifact."""

    def table(self, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
        """Rows of the same keys, written to a JSON file that MLflow shows, and compares between runs, as a table."""

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        """The run's description; links are name -> artifact."""

    def datasets(self, split: Split, source: str, corpus_sha256: str) -> None:
        """What the run read."""

    def model(self, bundle: Path, metrics: Mapping[str, float]) -> str | None:
        """Logs a bundle as the run's model; returns its `models:/` URI."""
        return None


class MlflowTracker(Tracker):
    """Records into one MLflow run; what the store does not take is kept in the outbox and sent later.

    Args:
        run: Id of the run, or the name it is put under while the store has not made it.
        experiment: Its id.
        outbox: On its way to the store.
    """

    def __init__(self, run: str, experiment: str, outbox: Outbox) -> None:
        self._run, self.experiment, self.outbox = run, experiment, outbox
        self._test: dict[str, str] = {}

    @property
    def run_id(self) -> str | None:
        """As the store knows it, as soon as it does."""
        return self.outbox.names.get(self._run, self._run)

    def put(self, op: str, **arguments: Any) -> None:
        """Tells the store, now or later, one of `train.sending.SENDERS`."""
        self.outbox.put({"op": op, "run": self.run_id, "time": _now_ms(), **arguments})

    def step_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.put("metrics", metrics=_named(metrics), step=step)

    def metrics(self, metrics: Mapping[str, float]) -> None:
        self.put("metrics", metrics=_named(metrics), step=0)

    def params(self, params: Mapping[str, Any]) -> None:
        self.put("params", params={name: str(value) for name, value in _named(params).items()})

    def tags(self, tags: Mapping[str, str]) -> None:
        self.put("tags", tags=dict(tags))

    def file(self, path: Path, folder: str | None = None) -> None:
        self.put("file", path=str(path.resolve()), folder=folder)

    def table(self, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
        # As mlflow.log_table writes it, which would add to the table of a run that was killed, and knows no halves of characters.
        columns = list(rows[0]) if rows else []
        write_json(path, {"columns": columns, "data": [[row[name] for name in columns] for row in rows]})
        self.file(path)
        self.tags({"mlflow.loggedArtifacts": json.dumps([{"path": path.name, "type": "table"}])})

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        self.put("note", text=text, links=dict(links), experiment=self.experiment)

    def datasets(self, split: Split, source: str, corpus_sha256: str) -> None:
        import mlflow
        import pandas as pd

        for part in PARTS:
            pages = split.parts[part]
            frame = pd.DataFrame([{"page_id": p.page_id, "site": p.site, "segments": p.segments} for p in pages])
            with quiet():  # a local path "can be interpreted in multiple ways": it is a file here
                # MLflow's own digest reads only the first 10,000 rows; ours names the file's bytes, the split and the part.
                digest = sha256_json([corpus_sha256, split.sha256, part])[:16]
                data = mlflow.data.from_pandas(frame, source=source, name=f"newsparts-{part}", digest=digest)
                told = data.to_dict()  # looks at the columns: it warns too
            self.put("dataset", part=part, dataset=told)
            if part == "test":
                self._test = {"dataset_name": data.name, "dataset_digest": data.digest}

    def model(self, bundle: Path, metrics: Mapping[str, float]) -> str | None:
        test = {name: value for name, value in metrics.items() if name.startswith("test/")}
        self.put("model", bundle=str(bundle.resolve()), metrics=_named(test), dataset=self._test)
        return self.outbox.names.get(model_of(self.run_id))


@contextmanager
def tracked_run(
    config: Config, *, resume: str | None, fallback_name: str, folder: Path, changes: str = "", parent: Tracker | None = None
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
            "run", experiment=parent.experiment, name=fallback_name, tags=_context({**_owner(), "mlflow.parentRunId": str(parent.run_id)})
        )
    else:
        tracker, resume = _begin(config, resume, ", ".join(filter(None, (config.tracking.run_name or fallback_name, changes))), folder)
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
        tracker.tags({"ended_by": f"{type(error).__name__}: {error}"[:500]})
        raise
    finally:
        tracker.put("end", status=status)
        if parent is None:
            _tell_kept(tracker.outbox, folder)


@contextmanager
def joined_run(config: Config, run_id: str, folder: Path) -> Iterator[Tracker]:
    """A run that another process leads and ends, as parent of runs of this one.

    Args:
        config: Its config.
        run_id: Of the run.
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
            _tell_kept(outbox, folder)


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
            f"{outbox.kept} things that MLflow was not told of run {min(outbox.runs())}: {why}", expected="that they were sent",
            remedy="make send MODEL=THIS FOLDER; or move the file away, and they are lost", path=outbox.path, rule="unsent",
        )  # fmt: skip
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
            run = resume or client.create_run(experiment, tags=_context(_owner()), run_name=name).info.run_id
    except (MlflowException, OSError) as error:
        raise _no_answer(error) from None
    return MlflowTracker(run, experiment, outbox), resume


def _outbox(path: Path) -> Outbox:
    return Outbox(path, send, f"MLflow at {tracking_uri()}")


def _owner() -> dict[str, str]:
    return {"host": platform.node(), "pid": str(os.getpid())}


def _context(tags: dict[str, str]) -> dict[str, str]:
    """Tags with what MLflow itself says of a run: user, source, commit."""
    from mlflow.tracking.context.registry import resolve_tags

    return dict(resolve_tags(tags))


def _now_ms() -> int:
    return int(time.time() * 1000)


def send_kept(folder: Path) -> tuple[int, dict[str, str]]:
    """Sends what a folder keeps for the store.

    Returns:
        How many things were sent, and the URIs of models by run.

    Raises:
        InputError: The folder keeps nothing, or the store does not take it.
    """
    connect()
    boxes = [_outbox(path) for path in (folder / UNSENT, *sorted(folder.glob(f"worker-*/{UNSENT}")))]
    kept = sum(box.kept for box in boxes)
    if not kept:
        raise InputError(
            "nothing unsent", expected=f"{UNSENT}, as a run leaves it whose store was away", remedy="check the folder", path=folder, rule="nothing-unsent",
        )  # fmt: skip
    models: dict[str, str] = {}
    for box in boxes:
        runs = box.runs()
        why = box.flush()
        if why is not None:
            raise InputError(
                f"{sum(box.kept for box in boxes)} of {kept} things are still unsent: {why}", expected="a store that takes them",
                remedy="mend it, then again", path=box.path, rule="unsent",
            )  # fmt: skip
        models |= {run: box.names[model_of(run)] for run in runs | set(box.names.values()) if model_of(run) in box.names}
    return kept, models


def _tell_kept(outbox: Outbox, folder: Path) -> None:
    why = outbox.flush()
    if why is not None:
        console.print(
            f"{outbox.kept} things that {outbox.where} was not told are kept in {outbox.path} ({why}); `make send MODEL={folder}` sends them",
            style="yellow", markup=False, soft_wrap=True,
        )  # fmt: skip


def _named(values: Mapping[str, T]) -> dict[str, T]:
    """Metrics or params under names that MLflow takes: a topic or a column may hold other characters than letters of any script, digits, `_-. :/`."""
    return {re.sub(r"[^\w\-. :/]", "_", name): value for name, value in values.items()}


def _close_dead_runs(client: Any, experiment: str, *, but: str | None) -> None:
    """Marks FAILED what is still RUNNING though its process on this machine is gone."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=100):
        tags = run.data.tags
        if run.info.run_id != but and gone(f"{tags.get('host')} {tags.get('pid', 0)}"):
            client.set_tag(run.info.run_id, "ended_by", "the process was gone")
            client.set_terminated(run.info.run_id, "FAILED")

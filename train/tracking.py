"""The only file that talks to MLflow's tracking: where runs go, what every run says of itself, how a run ends."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

from train.config import Config
from train.corpus.split import PARTS, Split
from train.errors import InputError
from train.files import sha256_json, write_json
from train.interrupt import Interrupted, signals_raise

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = REGISTERED_MODEL = "newsparts"
NOTE = "mlflow.note.content"
"""The tag that holds a run's description."""
_VERSIONS_OF = ("scikit-learn", "torch", "transformers", "datasets", "mlflow", "skops", "onnxruntime", "numpy")

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
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    from mlflow.exceptions import MlflowException

    uri = tracking_uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        with _quiet():
            known = mlflow.get_experiment_by_name(experiment)
            if known is not None:
                for tag in _EXPERIMENT_TAGS.keys() - known.tags.keys():
                    mlflow.MlflowClient().set_experiment_tag(known.experiment_id, tag, _EXPERIMENT_TAGS[tag])
                mlflow.set_experiment(experiment_id=known.experiment_id)
                return str(known.experiment_id)
            file = Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:///") else None
            location = (file.parent / "mlartifacts").as_uri() if file else None
            number = mlflow.create_experiment(experiment, artifact_location=location, tags=_EXPERIMENT_TAGS)
            mlflow.set_experiment(experiment_id=number)
            return str(number)
    except (MlflowException, OSError) as error:
        raise InputError(
            f"MLflow at {uri} does not answer: {str(error).splitlines()[0][:200]}",
            expected="a reachable tracking store",
            remedy="start the server, mend or unset MLFLOW_TRACKING_URI, or set tracking.enabled=false",
            rule="no-mlflow",
        ) from None


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
    except MlflowException:
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
    address = _artifact_page(run.info, f"{folder}/{file.name}")
    before = [part for part in run.data.tags.get(NOTE, "").split("\n\n") if address not in part]
    client.set_tag(run_id, NOTE, "\n\n".join([*before, f"{says} ([{folder}]({address}))"]))
    return True


def _artifact_page(run: Any, path: str) -> str:
    """Where MLflow's UI shows an artifact of a run."""
    return f"#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/{path}?workflowType=machine_learning"


class Tracker:
    """Records nothing; what a run uses when `tracking.enabled` is false."""

    run_id: str | None = None

    def step_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of a training step."""

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Metrics of the run."""

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


@dataclass
class MlflowTracker(Tracker):
    """Records into one MLflow run."""

    run_id: str | None
    _datasets: dict[str, Any] = field(default_factory=dict)

    def step_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        import mlflow

        mlflow.log_metrics(_named(metrics), step=step)

    def metrics(self, metrics: Mapping[str, float]) -> None:
        import mlflow

        mlflow.log_metrics(_named(metrics))

    def tags(self, tags: Mapping[str, str]) -> None:
        import mlflow

        mlflow.set_tags(dict(tags))

    def file(self, path: Path, folder: str | None = None) -> None:
        import mlflow

        mlflow.log_artifact(str(path), folder)

    def table(self, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
        import mlflow

        # As mlflow.log_table writes it, which would add to the table of a run that was killed, and knows no halves of characters.
        columns = list(rows[0]) if rows else []
        write_json(path, {"columns": columns, "data": [[row[name] for name in columns] for row in rows]})
        mlflow.log_artifact(str(path))
        mlflow.set_tag("mlflow.loggedArtifacts", json.dumps([{"path": path.name, "type": "table"}]))

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        import mlflow

        run = mlflow.get_run(str(self.run_id)).info
        linked = " · ".join(f"[{name}]({_artifact_page(run, path)})" for name, path in links.items())
        mlflow.set_tag(NOTE, f"{text} {linked}")

    def datasets(self, split: Split, source: str, corpus_sha256: str) -> None:
        import mlflow
        import pandas as pd

        for part in PARTS:
            pages = split.parts[part]
            frame = pd.DataFrame([{"page_id": p.page_id, "site": p.site, "segments": p.segments} for p in pages])
            with _quiet():  # a local path "can be interpreted in multiple ways": it is a file here
                # MLflow's own digest reads only the first 10,000 rows; ours names the file's bytes, the split and the part.
                digest = sha256_json([corpus_sha256, split.sha256, part])[:16]
                data = mlflow.data.from_pandas(frame, source=source, name=f"newsparts-{part}", digest=digest)
                mlflow.log_input(data, context=part)
            self._datasets[part] = data

    def model(self, bundle: Path, metrics: Mapping[str, float]) -> str | None:
        import mlflow

        from train.export.flavor import log_bundle

        with _quiet():
            info = log_bundle(bundle)
        test = _named({name: value for name, value in metrics.items() if name.startswith("test/")})
        if test:
            mlflow.log_metrics(test, model_id=info.model_id, dataset=self._datasets.get("test"))
        return str(info.model_uri)


@contextmanager
def tracked_run(config: Config, *, resume: str | None, fallback_name: str, changes: str = "", nested: bool = False) -> Iterator[Tracker]:
    """One MLflow run around a block.

    The run ends FINISHED when the block does, FAILED when it raises, KILLED on SIGTERM, SIGINT and SIGHUP. A run whose
    process was killed outright cannot say so; the next run on this machine marks it FAILED, unless it goes on with it.

    Args:
        config: The resolved config; logged as flat params when the run is new.
        resume: Id of the run to go on with, or None.
        fallback_name: Run name when the config gives none.
        changes: What was changed in the config, for the run's name.
        nested: Put the run, under the fallback name, below the one around it.
    """
    if not config.tracking.enabled:
        with signals_raise():
            yield Tracker()
        return
    experiment = connect(config.tracking.experiment)
    import mlflow
    from mlflow.exceptions import MlflowException

    client = mlflow.MlflowClient()
    if resume is not None:
        try:
            client.get_run(resume)
        except MlflowException:
            resume = None
    if not nested:
        _close_dead_runs(client, experiment, but=resume)
    name = fallback_name if nested else ", ".join(filter(None, (config.tracking.run_name or fallback_name, changes)))
    run = mlflow.start_run(run_id=resume, run_name=None if resume else name, nested=nested)
    status = "FAILED"
    try:
        with signals_raise():
            if resume is None:
                mlflow.log_params(_named(config.flat()))
            else:
                mlflow.set_tag("resumed", "true")
            mlflow.set_tags({"host": platform.node(), "pid": str(os.getpid()), "family": config.family, **git_state(), **environment()})
            yield MlflowTracker(run.info.run_id)
        status = "FINISHED"
    except (KeyboardInterrupt, Interrupted) as error:
        status = "KILLED"
        mlflow.set_tag("ended_by", repr(error))
        raise
    except BaseException as error:
        mlflow.set_tag("ended_by", f"{type(error).__name__}: {error}"[:500])
        raise
    finally:
        mlflow.end_run(status)


def _named(values: Mapping[str, T]) -> dict[str, T]:
    """Metrics or params under names that MLflow takes: a topic or a column may hold other characters than letters, digits, `_-. :/`."""
    return {re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII): value for name, value in values.items()}


def _close_dead_runs(client: Any, experiment: str, *, but: str | None) -> None:
    """Marks FAILED what is still RUNNING though its process on this machine is gone."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=100):
        tags = run.data.tags
        if run.info.run_id != but and tags.get("host") == platform.node() and not _alive(int(tags.get("pid", 0))):
            client.set_tag(run.info.run_id, "ended_by", "the process was gone")
            client.set_terminated(run.info.run_id, "FAILED")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


@contextmanager
def _quiet() -> Iterator[None]:
    import logging

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def git_state() -> dict[str, str]:
    """`git.sha` and `git.dirty` of the code that runs; empty outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        return {"git.sha": git("rev-parse", "HEAD"), "git.dirty": str(bool(git("status", "--porcelain"))).lower()}
    except (OSError, subprocess.SubprocessError):
        return {}


def environment() -> dict[str, str]:
    """Versions and the machine, as tags."""
    tags = {"python": platform.python_version(), "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores"}
    for name in _VERSIONS_OF:
        try:
            tags[f"version.{name}"] = version(name)
        except PackageNotFoundError:
            continue
    return tags


def peak_memory_mb() -> float:
    """Largest resident set of this process so far, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6

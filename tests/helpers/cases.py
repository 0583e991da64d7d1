"""Commands that are killed and given again, and what they leave, comparable."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import ROOT
from train.common.files import read_json
from train.registry.versions import version_of
from train.training.outcome import read_outcome

ON = ("tracking.enabled=true", "tracking.experiment=newsparts")


@dataclass
class Case:
    """A command under test.

    Args:
        words: Of the command line; paths are relative to the working folder.
        result: What it left, comparable.
        same: Whether two results are the same.
    """

    words: Sequence[str]
    result: Callable[[Path], Any]
    same: Callable[[Any, Any], bool] = lambda a, b: a == b


def run_environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def start(case: Case, folder: Path) -> subprocess.Popen[bytes]:
    log = (folder / "log.txt").open("ab")
    command = [sys.executable, "-m", "train", *case.words]
    return subprocess.Popen(
        command, cwd=folder, env=run_environment(folder), stdout=log, stderr=log, start_new_session=True
    )


def whole(case: Case, folder: Path) -> float:
    started = time.monotonic()
    assert start(case, folder).wait() == 0, (folder / "log.txt").read_text()[-3000:]
    return time.monotonic() - started


def runs_of(folder: Path) -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    return list(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))


def ready(made: Path, folder: Path) -> None:
    """Copies what the commands need; the copy's store names the copy's folder, as MLflow keeps absolute paths."""
    shutil.copytree(made, folder, dirs_exist_ok=True)
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as store, store:
        for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in store.execute(f"PRAGMA table_info({table})").fetchall():
                if "CHAR" in kind or "TEXT" in kind:
                    store.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)',
                        (str(made), str(folder), str(made)),
                    )


def _scores(folder: Path) -> dict[str, Any]:
    output = next((folder / "out").glob("demo-*"))
    assert not (output / "unfinished.json").exists()
    assert not (output / "unsent.jsonl").exists()
    found = {
        part: {**read_json(output / f"{part}.json"), "model": None} for part in ("validation", "test")
    }  # skops' files hold the time
    assert read_outcome(output).model_uri is not None
    return found


def near(one: Any, other: Any) -> bool:
    """Whether scores of the encoder are the same: floating point adds up in another order when training goes on from a
    checkpoint."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(near(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(near, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, abs=0.02, nan_ok=True)
    return type(one) is type(other) and one == other


def _trials(folder: Path) -> Any:
    trials = read_json(folder / "tuned" / "trials.json")["trials"]
    return sorted((str(trial["values"]), trial["score"]) for trial in trials)


def _same_search(now: Any, undisturbed: Any) -> bool:
    """As many trials, the config as it is among them: what else is tried after a kill is drawn anew."""
    as_it_is = next(trial for trial in undisturbed if trial[0] == "{'baseline.C': 1.0}")
    return len(now) == len(undisturbed) and as_it_is in now


def _labels(folder: Path) -> Any:
    import pyarrow.parquet as pq

    records = [
        row for path in sorted((folder / "labels").glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    assert len({record["page_id"] for record in records}) == len(records) == 1500
    return records


def _bundle(folder: Path) -> Any:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "bundle").rglob("*"))
        if path.is_file()
    }


def _champion(folder: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        found = version_of("champion")
        return found and (found.version, found.tags.get("gate"))


def _composed(folder: Path) -> Any:
    return gzip.decompress((folder / "corpus.jsonl.gz").read_bytes())


SETS = ["tuned", "--n", "3", "--folds", "2", "--space", "space.yaml"]
CASES = {
    "fit, baseline": Case(["fit", "--config", "demo-baseline.yaml"], _scores),
    "fit, encoder": Case(["fit", "--config", "demo-encoder.yaml"], _scores, near),
    "tune": Case(["tune", "--config", "demo-baseline.yaml", "--output", *SETS], _trials, _same_search),
    "label": Case(
        ["label", "--model", "trained/demo-baseline", "many.jsonl", "--output", "labels", "--pages-a-part", "100"],
        _labels,
    ),
    "export": Case(["export", "--model", "trained/demo-baseline", "--output", "bundle"], _bundle),
    "promote": Case(["promote", "--gate", str(ROOT / "configs/registry/gate.yaml"), "--force", "a test"], _champion),
    "compose": Case(["compose", "--output", "corpus.jsonl.gz", "--pages", "100"], _composed),
}

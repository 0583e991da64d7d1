"""The kill matrix: real commands, killed at random moments and given again, end as if nothing had happened.

A sample runs in `make test`; `make test-slow` kills each command 25 times.
"""

from __future__ import annotations

import gzip
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, make_page, shrunk
from tests.survival.told import SLOW, tell
from train.corpus.read import write_pages
from train.files import read_json
from train.recipe import fit, read_outcome
from train.registry import register_outcome, version_of

KILLS = 25 if SLOW else 2
IN_A_ROW = 3
"""Kills before a command is let run to its end, at most."""
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
        **os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }  # fmt: skip


def _start(case: Case, folder: Path) -> subprocess.Popen[bytes]:
    log = (folder / "log.txt").open("ab")
    command = [sys.executable, "-m", "train", *case.words]
    return subprocess.Popen(command, cwd=folder, env=run_environment(folder), stdout=log, stderr=log, start_new_session=True)


def _whole(case: Case, folder: Path) -> float:
    started = time.monotonic()
    assert _start(case, folder).wait() == 0, (folder / "log.txt").read_text()[-3000:]
    return time.monotonic() - started


def _runs(folder: Path) -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    return list(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))


def ready(made: Path, folder: Path) -> None:
    shutil.copytree(made, folder, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, corpus: Path, backbone: Path, mlflow_template: Path) -> Path:
    """A folder with all that the commands need: corpus, configs, a store, a baseline that was trained and registered."""
    folder = tmp_path_factory.mktemp("made")
    shutil.copyfile(mlflow_template, folder / "mlflow.db")
    shutil.copyfile(corpus, folder / "pages.jsonl")
    write_pages(folder / "many.jsonl", [make_page(f"site{n % 9}", n) for n in range(1500)])
    for name, more in (("demo-baseline", ()), ("demo-encoder", ("encoder.epochs=6", "encoder.checkpoints=6"))):
        config = shrunk(name, Path("pages.jsonl"), backbone, Path("out"), *ON, "evaluation.learning_curve=[]", *more)
        (folder / f"{name}.yaml").write_text(config.to_yaml(), encoding="utf-8")
    (folder / "space.yaml").write_text("baseline.regularisation: {low: 0.1, high: 10.0, log: true}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        config = shrunk("demo-baseline", folder / "pages.jsonl", backbone, folder / "trained", *ON, "evaluation.learning_curve=[]")
        register_outcome(fit(config))
    return folder


def _scores(folder: Path) -> dict[str, Any]:
    output = next((folder / "out").glob("demo-*"))
    assert not (output / "unfinished.json").exists()
    assert not (output / "unsent.jsonl").exists()
    found = {part: {**read_json(output / f"{part}.json"), "model": None} for part in ("validation", "test")}  # skops' files hold the time
    assert read_outcome(output).model_uri is not None
    return found


def _near(one: Any, other: Any) -> bool:
    """Scores of the encoder: floating point adds up in another order when training goes on from a checkpoint."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_near(one[key], other[key]) for key in one)
    return one == pytest.approx(other, abs=0.02) if isinstance(one, float) else True


def _trials(folder: Path) -> Any:
    trials = read_json(folder / "tuned" / "trials.json")["trials"]
    return sorted((str(trial["values"]), trial["score"]) for trial in trials)


def _labels(folder: Path) -> Any:
    import pyarrow.parquet as pq

    records = [row for path in sorted((folder / "labels").glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert len({record["page_id"] for record in records}) == len(records) == 1500
    return records


def _bundle(folder: Path) -> Any:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted((folder / "bundle").rglob("*")) if path.is_file()}


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
    "fit, encoder": Case(["fit", "--config", "demo-encoder.yaml"], _scores, _near),
    "tune": Case(["tune", "--config", "demo-baseline.yaml", "--output", *SETS], _trials),
    "label": Case(["label", "--model", "trained/demo-baseline", "many.jsonl", "--output", "labels", "--pages-a-part", "100"], _labels),
    "export": Case(["export", "--model", "trained/demo-baseline", "--output", "bundle"], _bundle),
    "promote": Case(["promote", "--gate", str(ROOT / "configs/registry/gate.yaml"), "--force", "a test"], _champion),
    "compose": Case(["compose", "--output", "corpus.jsonl.gz", "--pages", "300"], _composed),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_command_killed_at_any_moment_ends_as_if_nothing_had_happened(name: str, made: Path, tmp_path: Path) -> None:
    case, rng = CASES[name], random.Random(name)
    started = time.monotonic()
    ready(made, tmp_path / "undisturbed")
    seconds = _whole(case, tmp_path / "undisturbed")
    expected = case.result(tmp_path / "undisturbed")
    kills = rounds = alive = 0
    while kills < KILLS:
        folder = tmp_path / f"round-{rounds}"
        ready(made, folder)
        for _ in range(min(rng.randint(1, IN_A_ROW), KILLS - kills)):
            running = _start(case, folder)
            try:
                running.wait(timeout=rng.uniform(0.05, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                alive += 1
            os.killpg(running.pid, signal.SIGKILL) if running.poll() is None else None
            running.wait()
            kills += 1
        _whole(case, folder)
        assert case.same(case.result(folder), expected), f"round {rounds}"
        assert {run.info.status for run in _runs(folder)} <= {"FINISHED", "FAILED"}, "a run still RUNNING"
        assert not [path for path in folder.rglob("*.part")], "half files are left"
        shutil.rmtree(folder)
        rounds += 1
    assert alive, "no kill met a living process"
    tell(
        "SIGKILL at random moments",
        name,
        f"{kills} kills ({alive} met it at work), {rounds} commands given again",
        time.monotonic() - started,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("name", ["fit, baseline", "fit, encoder", "tune"])
def test_a_signal_ends_a_command_cleanly_in_five_seconds(name: str, number: signal.Signals, made: Path, tmp_path: Path) -> None:
    case, rng = CASES[name], random.Random(f"{name} {number}")
    ready(made, tmp_path)
    before = {run.info.run_id for run in _runs(tmp_path)}
    running = _start(case, tmp_path)
    deadline = time.monotonic() + 120
    while not (met := [run for run in _runs(tmp_path) if run.info.run_id not in before]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert met
    time.sleep(rng.uniform(0, 2))
    assert running.poll() is None, "ended before it was asked to"
    running.send_signal(number)
    started = time.monotonic()
    code = running.wait(timeout=60)
    took = time.monotonic() - started
    text = (tmp_path / "log.txt").read_text()
    assert code == 128 + number, text[-2000:]
    assert "Traceback" not in text
    statuses = {run.info.status for run in _runs(tmp_path) if run.info.run_id not in before}
    assert "KILLED" in statuses
    assert "RUNNING" not in statuses
    assert took < 5 or not SLOW  # told, not a timed test where other work goes on beside it
    tell(f"{number.name} while at work", name, f"ended after {took:.1f} s, run KILLED", took)

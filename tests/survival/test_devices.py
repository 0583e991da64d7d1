"""Training on two devices (torchrun's processes, gloo) learns what one process learns; a killed worker costs time
alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlflow
import psutil
import pytest

from tests.helpers.configs import ConfigMaker, shrunk
from tests.helpers.survival_rows import add_row, command_line_of
from train.common.errors import InputError
from train.common.files import read_json
from train.config.schema import Config, EncoderConfig
from train.corpus.page import Page
from train.tracking.step_log import StepLog
from train.training.recipe import fit

ON = (
    "tracking.enabled=true",
    "tracking.experiment=test",
    "encoder.threads=1",
    "encoder.dropout=0.0",
    "encoder.device=cpu",
)
LONG = "encoder.fine_tune_epochs=30"
TOLERANCE = 1e-3


def _curve(output: Path) -> dict[int, float]:
    return dict(StepLog(output / "steps.jsonl", lambda metrics, step: None, resumed=True).read()["train/loss"])


@contextlib.contextmanager
def _training(
    folder: Path, config: Config, log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], list[psutil.Process], list[psutil.Process]]]:
    """A run in a process of its own that has written a checkpoint; all below it, and the two of them that train."""
    (folder / "two.yaml").write_text(config.to_yaml(), encoding="utf-8")
    with log.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, "-m", "train", "fit", "--config", "two.yaml"], cwd=folder, stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + 120
        while not (Path(config.output) / "work/checkpoint.safetensors").is_file():
            assert running.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.02)
        below = [
            p
            for p in psutil.Process(running.pid).children(recursive=True)
            if "train.models.encoder.worker" in command_line_of(p)
        ]
        workers = [p for p in below if "torch.distributed.run" not in command_line_of(p)]
        assert len(workers) == 2
        assert len(below) == 3
        yield running, below, workers
    finally:
        running.kill()
        running.wait()


@pytest.fixture
def alone(make_config: ConfigMaker, store: Path) -> Path:
    return fit(make_config("demo-encoder", *ON, LONG)).output


def _runs(store: Path) -> list[Any]:
    client = mlflow.MlflowClient(f"sqlite:///{store}")
    return list(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))


def _same(one: Path, other: Path) -> float:
    """The largest difference between two trainings' losses, having checked that all of them, and the weights, are
    near."""
    curves = _curve(one), _curve(other)
    assert curves[0].keys() == curves[1].keys()
    assert len(curves[0]) > 20
    apart = max(abs(curves[0][step] - curves[1][step]) for step in curves[0])
    assert apart < TOLERANCE
    scores = [read_json(output / "outcome.json")["metrics"]["test/role/macro_f1"] for output in (one, other)]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    return apart


@pytest.mark.slow
def test_two_devices_learn_what_one_learns_though_a_worker_is_killed(
    alone: Path, corpus: Path, backbone: Path, store: Path, tmp_path: Path
) -> None:
    config = shrunk("demo-encoder", corpus, backbone, tmp_path / "two", *ON, LONG, "encoder.devices=2")
    started, log = time.monotonic(), tmp_path / "log.txt"
    with _training(tmp_path, config, log) as (running, below, workers):
        workers[-1].kill()
        assert running.wait(200) == 0, log.read_text()[-3000:]
    output = Path(config.output)

    apart = _same(alone, output)
    runs = _runs(store)
    assert len(runs) == 2
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert not (output / "work").exists()
    add_row(
        "a worker killed",
        "fit, encoder on 2 devices (torchrun, gloo)",
        f"losses within {apart:.0e} of one process's, one MLflow run",
        time.monotonic() - started,
    )
    assert not any(p.is_running() for p in below)


@pytest.mark.slow
def test_a_killed_run_leaves_no_worker_behind_and_goes_on(
    corpus: Path, backbone: Path, store: Path, tmp_path: Path
) -> None:
    config = shrunk("demo-encoder", corpus, backbone, tmp_path, *ON, LONG, "encoder.devices=2")
    with _training(tmp_path, config, tmp_path / "log.txt") as (running, below, _):
        running.kill()
        running.wait()
        _, left = psutil.wait_procs(below, timeout=90)
        assert not left
    begun = [p for p in psutil.process_iter() if str(tmp_path) in command_line_of(p)]
    assert not begun, "torchrun began again"
    outcome = fit(config)
    assert outcome.metrics["test/role/macro_f1"] > 0.5
    runs = _runs(store)
    assert [run.info.status for run in runs] == ["FINISHED"]


@pytest.mark.slow
def test_workers_that_fail_say_why(make_config: ConfigMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config("demo-encoder", "encoder.devices=2", "encoder.device=cpu")

    from train.models.encoder import distributed as devices

    leave = devices.Job.leave

    def leave_and_block(job: devices.Job, config: EncoderConfig, seed: int, work: Path, pages: Sequence[Page]) -> None:
        leave(job, config, seed, work, pages)
        (work / "checkpoint.safetensors").mkdir()

    monkeypatch.setattr(devices.Job, "leave", leave_and_block)
    with pytest.raises(InputError, match=r"ended early: .*([Ii]s a directory|not a file|Error)"):
        fit(config)
    assert os.path.getsize(Path(config.output) / "work" / "devices" / "workers.log")


def test_devices_share_what_learns_alone(make_config: ConfigMaker) -> None:
    with pytest.raises(InputError, match=r"encoder\.devices is 2, expected 1: no pretrained weights learn"):
        make_config("demo-encoder", "encoder.devices=2", "encoder.page_layers=0")

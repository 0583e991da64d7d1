"""Fine-tuning on several devices: torchrun starts a process for each, which share every batch; one process reports,
tracks and goes on alone after.

`train_on_devices` runs in the process of the run. It leaves a job in the work folder, starts the workers (`worker`),
and reports what the first of them reports. A worker that dies is started again with the others, from the last whole
checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.common.files import read_json, write_json, write_text
from train.common.signals import process_id
from train.config.schema import EncoderConfig
from train.corpus.page import Page
from train.corpus.read import read_pages, write_pages
from train.runtime.onnx import cores_at_hand

WORKER = "train.models.encoder.worker"
"""The module that a worker runs."""
RESTARTS = 3
"""The most times that all workers are started again when one has died."""
POLL_S = 0.2
STOP_S = 40
"""torchrun itself gives its workers 30 seconds."""
ReportEpoch = Callable[[int, Mapping[str, float]], None]
"""Takes an epoch that is done, and its metrics."""


def train_on_devices(config: EncoderConfig, seed: int, work: Path, pages: Sequence[Page], report: ReportEpoch) -> None:
    """Fine-tunes the encoder's network in `config.devices` processes that torchrun starts; its checkpoint then holds
    what they learnt.

    Args:
        config: The section `encoder`.
        seed: The seed of the run.
        work: The work folder, which holds the network as its first stage left it.
        pages: The training pages.
        report: Takes the epochs of the first worker, each once.

    Raises:
        InputError: A worker failed, or died more often than `RESTARTS` times.
    """
    job = Job(work / "devices")
    job.leave(config, seed, work, pages)
    workers = _start(job, config.devices)
    try:
        while workers.poll() is None:
            time.sleep(POLL_S)
            job.pass_on(report)
    finally:
        _stop(workers)
    job.pass_on(report)
    if not job.trained.is_file():
        raise InputError(
            f"training on {config.devices} devices ended early: {job.reason()}",
            expected=f"workers that end well; all are started again {RESTARTS} times when one dies",
            remedy="mend what it says, then the same command again: it goes on from the last checkpoint; "
            "encoder.devices=1 needs no workers",
            path=job.log,
            rule="workers-failed",
        )


class Job:
    """What the process of the run and its workers leave for each other in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trained, self.log = folder / "trained", folder / "workers.log"
        self._epochs, self._given_up = folder / "epochs.jsonl", folder / "given-up"
        self._read, self._last, self._taken = 0, 0, False

    def leave(self, config: EncoderConfig, seed: int, work: Path, pages: Sequence[Page]) -> None:
        """Leaves the job; what an earlier run of it left goes, but its checkpoint, which lies elsewhere.

        Args:
            config: The section `encoder`.
            seed: The seed of the run.
            work: The work folder of the run.
            pages: The training pages.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.trained, self._epochs, self._given_up, self.log, *self._failures()):
            path.unlink(missing_ok=True)
        write_pages(self.folder / "pages.jsonl", pages)
        write_json(self.folder / "job.json", {"config": asdict(config), "seed": seed, "work": str(work)})

    def take(self) -> tuple[EncoderConfig, int, Path, list[Page]]:
        """Takes the job, in a worker: the config, the seed, the work folder and the pages."""
        job: dict[str, Any] = read_json(self.folder / "job.json")
        self._taken = True
        return (EncoderConfig(**job["config"]), job["seed"], Path(job["work"]), read_pages(self.folder / "pages.jsonl"))

    def report(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Reports an `epoch` that is done and its `metrics`, in a worker; those of the first one are passed on."""
        if os.environ["RANK"] != "0":
            return
        with self._epochs.open("a", encoding="utf-8") as file:
            file.write(json.dumps([epoch, dict(metrics)]) + "\n")

    def pass_on(self, report: ReportEpoch) -> None:
        """Passes on what was told since the last time; a line that is not whole yet waits, one cut short by a kill is
        skipped."""
        if not self._epochs.is_file():
            return
        with self._epochs.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                epoch, metrics = json.loads(line)
                if epoch > self._last:  # workers that begin again report again
                    self._last = epoch
                    report(epoch, metrics)

    @contextlib.contextmanager
    def failing(self) -> Iterator[None]:
        """Keeps the reason of an exception. A worker that cannot take its job, or is given something wrong, fails for
        good and is not started again in earnest; later it may be that another worker died, with whom it was in
        touch."""
        if self._given_up.is_file():
            raise SystemExit(1)
        try:
            yield
        except Exception as error:
            # Of the workers of an attempt the first to fail has the reason; others fail because they lose it.
            with (
                contextlib.suppress(FileExistsError),
                (self.folder / f"failure-{os.environ['TORCHELASTIC_RESTART_COUNT']}.txt").open("x") as file,
            ):
                file.write("".join(traceback.format_exception_only(error)).strip())
            if not self._taken or isinstance(error, InputError):
                write_text(self._given_up, "")
            raise

    def _failures(self) -> list[Path]:
        return sorted(self.folder.glob("failure-*.txt"))

    def reason(self) -> str:
        """Why there is no trained network."""
        failures = self._failures()
        return failures[-1].read_text(errors="replace") if failures else "a worker died again and again"


def _start(job: Job, devices: int) -> subprocess.Popen[bytes]:
    # torchrun keeps one store for all attempts, and gloo waits for ever for the addresses of the last attempt's dead
    # that it finds there.
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(max(1, cores_at_hand() // devices)),
        "PYTHONUNBUFFERED": "1",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
    }
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={devices}",
        f"--max-restarts={RESTARTS}",
        "-m",
        WORKER,
        str(job.folder),
        process_id(),
    ]
    with job.log.open("wb") as log:
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _stop(workers: subprocess.Popen[bytes]) -> None:
    """Ends torchrun, which ends its workers."""
    if workers.poll() is not None:
        return
    workers.terminate()
    try:
        workers.wait(STOP_S)
    except subprocess.TimeoutExpired:
        workers.kill()  # its workers see that it is gone
        workers.wait()

"""The kill matrix: real commands, killed at random moments and given again, end as if nothing had happened.

A sample runs in `make test`; `make test-slow` kills each command 25 times.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers.cases import CASES, ready, runs_of, start, whole
from tests.helpers.survival_rows import SLOW, tell

KILLS = 25 if SLOW else 2
IN_A_ROW = 3
"""Kills before a command is let run to its end, at most."""


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_command_killed_at_any_moment_ends_as_if_nothing_had_happened(name: str, made: Path, tmp_path: Path) -> None:
    case, rng = CASES[name], random.Random(name)
    started = time.monotonic()
    ready(made, tmp_path / "undisturbed")
    seconds = whole(case, tmp_path / "undisturbed")
    expected = case.result(tmp_path / "undisturbed")
    kills = rounds = alive = 0
    while kills < KILLS:
        folder = tmp_path / f"round-{rounds}"
        ready(made, folder)
        for _ in range(min(rng.randint(1, IN_A_ROW), KILLS - kills)):
            running = start(case, folder)
            try:
                running.wait(timeout=rng.uniform(0.05, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                alive += 1
            os.killpg(running.pid, signal.SIGKILL) if running.poll() is None else None
            running.wait()
            kills += 1
        whole(case, folder)
        assert case.same(case.result(folder), expected), f"round {rounds}"
        assert {run.info.status for run in runs_of(folder)} <= {"FINISHED", "FAILED"}, "a run still RUNNING"
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
    before = {run.info.run_id for run in runs_of(tmp_path)}
    running = start(case, tmp_path)
    deadline = time.monotonic() + 120
    while not (met := [run for run in runs_of(tmp_path) if run.info.run_id not in before]) and time.monotonic() < deadline:
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
    statuses = {run.info.status for run in runs_of(tmp_path) if run.info.run_id not in before}
    assert "KILLED" in statuses
    assert "RUNNING" not in statuses
    assert took < 5 or not SLOW  # told, not a timed test where other work goes on beside it
    tell(f"{number.name} while at work", name, f"ended after {took:.1f} s, run KILLED", took)

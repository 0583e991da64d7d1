"""The kill matrix: real commands, killed at random moments and given again, end as if nothing had happened.

One of each kind runs in `make test`, all of them in `make test-all`; `make test-slow` kills each command 25 times.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.cases import CASES, near, ready, runs_of, start, whole
from tests.helpers.survival_rows import SLOW, add_row

KILLS = 25 if SLOW else 2
MOST = KILLS + 10
"""Kills when those before came too late: a command that is given again may be quicker than the first time."""
IN_A_ROW = 3
"""Kills before a command is let run to its end, at most."""
QUICK = ("export", ("fit, baseline", signal.SIGTERM))
"""The case of each matrix that is quick."""
LIMIT_S = 5 if SLOW else 60
"""For ending when asked to: told, where other work goes on beside it."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(CASES)]
)
def test_a_command_killed_at_any_moment_ends_as_if_nothing_had_happened(name: str, made: Path, tmp_path: Path) -> None:
    case, rng = CASES[name], random.Random(name)
    started = time.monotonic()
    ready(made, tmp_path / "undisturbed")
    seconds = whole(case, tmp_path / "undisturbed")
    expected = case.result(tmp_path / "undisturbed")
    kills = rounds = alive = 0
    while kills < KILLS or (not alive and kills < MOST):
        folder = tmp_path / f"round-{rounds}"
        ready(made, folder)
        for _ in range(min(rng.randint(1, IN_A_ROW), max(1, KILLS - kills))):
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
    add_row(
        "SIGKILL at random moments",
        name,
        f"{kills} kills ({alive} met it at work), {rounds} commands given again",
        time.monotonic() - started,
    )


SIGNALS = [
    (name, number) for name in ("fit, baseline", "fit, encoder", "tune") for number in (signal.SIGTERM, signal.SIGINT)
]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(*case, id=f"{case[0]}-{case[1].name}", marks=() if case in QUICK else pytest.mark.slow)
        for case in SIGNALS
    ],
)
def test_a_signal_ends_a_command_cleanly_and_soon(
    name: str, number: signal.Signals, made: Path, tmp_path: Path
) -> None:
    case, rng = CASES[name], random.Random(f"{name} {number}")
    ready(made, tmp_path)
    before = {run.info.run_id for run in runs_of(tmp_path)}
    running = start(case, tmp_path)
    deadline = time.monotonic() + 120
    while (
        not (met := [run for run in runs_of(tmp_path) if run.info.run_id not in before]) and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert met
    time.sleep(rng.uniform(0, 2))
    assert running.poll() is None, "ended before it was asked to"
    running.send_signal(number)
    started = time.monotonic()
    code = running.wait(timeout=LIMIT_S)
    took = time.monotonic() - started
    text = (tmp_path / "log.txt").read_text()
    assert code == 128 + number, text[-2000:]
    assert "Traceback" not in text
    statuses = {run.info.status for run in runs_of(tmp_path) if run.info.run_id not in before}
    assert "KILLED" in statuses
    assert "RUNNING" not in statuses
    add_row(f"{number.name} while at work", name, f"ended after {took:.1f} s, run KILLED", took)


SCORES = {
    "f1": 0.5,
    "sites": 3,
    "corpus": "a1",
    "intervals": {"f1": [0.25, 0.75]},
    "bins": [[0.5, 0.25, 7]],
    "none": None,
    "few": True,
}


def test_scores_that_are_a_little_apart_are_near() -> None:
    assert near(SCORES, {**SCORES, "f1": 0.51, "intervals": {"f1": [0.24, 0.76]}, "bins": [(0.49, 0.26, 7)]})
    assert near(float("nan"), float("nan"))


@pytest.mark.parametrize(
    "change",
    [
        {"f1": 0.55},
        {"f1": "0.5"},
        {"f1": None},
        {"sites": 4},
        {"sites": 3.0},
        {"corpus": "b2"},
        {"intervals": {"f1": [0.25, 0.7]}},
        {"intervals": {"f1": [0.25]}},
        {"intervals": {}},
        {"bins": [[0.5, 0.25, 8]]},
        {"bins": []},
        {"none": 0.0},
        {"few": False},
        {"more": 1},
    ],
    ids=str,
)
def test_other_scores_counts_intervals_and_names_are_not_near(change: dict[str, Any]) -> None:
    assert not near(SCORES, {**SCORES, **change})
    assert not near({**SCORES, **change}, SCORES)

"""What is in use is in use, and what its user left by dying is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.common.lock import in_use

HOLDS = (
    "import sys; from pathlib import Path; from train.common.lock import in_use\n"
    "with in_use(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
)


def _holder(path: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    held = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], env=environment, stdin=pipe, stdout=pipe, text=True
    )
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    return held


def test_a_folder_in_use_is_refused_by_whom_and_free_when_its_user_is_killed(tmp_path: Path) -> None:
    held = _holder(tmp_path / "out")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for path in (tmp_path / "out", tmp_path / "x" / ".." / "out", tmp_path / "link"):
        with pytest.raises(InputError, match=f"in use by process {held.pid} on ") as caught, in_use(path):
            pass
        assert caught.value.rule == "in-use"
    with in_use(tmp_path / "other"):
        pass
    held.send_signal(signal.SIGKILL)
    held.wait()
    with in_use(tmp_path / "out"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link"], "no lock is left"


def test_who_waits_gets_it_when_it_is_let_go(tmp_path: Path) -> None:
    held = _holder(tmp_path / "out")
    assert held.stdin is not None
    held.stdin.close()
    with in_use(tmp_path / "out", wait_s=60):
        assert (tmp_path / ".out.lock").read_text().endswith(f" {os.getpid()}")
    assert held.wait() == 0

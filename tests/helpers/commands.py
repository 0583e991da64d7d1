"""The command line as a user gives it: in this process, or in one of its own where that is what is tested."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT


def train(*words: str, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `python -m train` with these words, without a new interpreter, which takes 3 to 6 s to import what it needs.

    Same parser, same handling of errors, same exit codes; an exception that a user would see as a traceback is raised.
    """
    from train.__main__ import main

    written = io.BytesIO(), io.BytesIO()
    out, err = (
        io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", write_through=True) for stream in written
    )
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["train", *words])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((stdin or "").encode()), encoding="utf-8"))
        if cwd is not None:
            patch.chdir(cwd)
        code = main()
    return subprocess.CompletedProcess(words, code, *(stream.getvalue().decode() for stream in written))


def train_process(*words: str, stdin: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own: for what only a process shows (exit codes, signals, what is imported)."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "train", *words], capture_output=True, text=True, input=stdin, cwd=cwd, env=environment
    )


def require_clear(done: subprocess.CompletedProcess[str], message: str) -> None:
    """The command ended with 2 and said what was found (`message`), what was expected and the remedy."""
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "expected:" in done.stderr
    assert "remedy:" in done.stderr
    assert "Traceback" not in done.stderr


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])

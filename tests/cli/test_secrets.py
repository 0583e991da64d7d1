"""Passwords stay out of the list of processes, and what a server keeps is its own account's alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.paths import ROOT
from train.cli import app, training
from train.common.errors import InputError
from train.studies.search import tune

SECRET = "S3cretPW"
ADDRESS = f"postgresql://user:{SECRET}@host/db"


@pytest.fixture
def usual_rights() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    "words", [["server", f"--store={ADDRESS}"], ["tune", "--storage", ADDRESS], ["fit", f"a={ADDRESS}"]]
)
def test_a_password_on_the_command_line_is_refused_unsaid(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", *words])
    monkeypatch.setattr(app, "application", lambda: pytest.fail("begun"))
    assert app.main() == 2
    told = capsys.readouterr()
    assert "a password on the command line" in told.err
    assert SECRET not in told.err + told.out


@pytest.mark.parametrize("target", ["server STORE", "tune CONFIG=x STORAGE"])
def test_make_takes_such_an_address_from_the_environment_alone(target: str) -> None:
    *words, variable = target.split()
    command = ["make", "-n", "-o", ".venv/.ready", *words]
    usual: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "text": True}
    environment = {"PATH": "/usr/bin:/bin"}
    refused = subprocess.run([*command, f"{variable}={ADDRESS}"], env=environment, **usual)
    assert (refused.returncode, SECRET in refused.stdout + refused.stderr) == (2, False)
    taken = subprocess.run(command, env={**environment, variable: ADDRESS}, **usual)
    assert (taken.returncode, SECRET in taken.stdout) == (0, False), taken.stderr


@pytest.mark.usefixtures("usual_rights")
def test_a_server_keeps_its_accounts_to_itself_also_in_a_folder_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import configparser

    folder = tmp_path / "50% of it"
    folder.mkdir(mode=0o755)
    (folder / "accounts.db").write_text("as an earlier version left it")
    (folder / "accounts.db").chmod(0o644)
    begun: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda program, words, environment: begun.append((words, environment)))
    training.server(store=ADDRESS, folder=folder)
    [(words, environment)] = begun
    assert SECRET not in " ".join(words)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == ADDRESS
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        ("accounts.db", "accounts.ini", "admin-password", "secret-key"), 0o600
    )
    accounts = configparser.ConfigParser()
    accounts.read(folder / "accounts.ini")
    assert accounts["mlflow"]["database_uri"].endswith("50%25 of it/accounts.db")


def test_workers_of_a_search_are_told_its_database_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], dict[str, str]]] = []

    class Process:
        def __init__(self, words: list[str], env: dict[str, str]) -> None:
            started.append((words, env))

        def poll(self) -> int:
            return 0

        def terminate(self) -> None: ...

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(subprocess, "Popen", Process)
    search = tune.SearchSpec(Path("c.yaml"), (), Path("s.yaml"), Path("out"), storage=ADDRESS)
    tune._send_out(search, 2, "0a")
    assert len(started) == 2
    for words, environment in started:
        assert SECRET not in " ".join(map(str, words))
        assert environment["STORAGE"] == ADDRESS


def test_no_error_shows_a_password() -> None:
    error = InputError(f"no answer of {ADDRESS}", expected=ADDRESS, remedy=f"mend {ADDRESS}", path="x")
    assert not re.search(SECRET, f"{error}{error.args}{vars(error)}{error.at('y', 1)}")

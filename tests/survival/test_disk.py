"""A disk that is full, and folders that may not be written: a clear error, and nothing of before is damaged."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import RestException

from tests.helpers.cases import CASES, ready, run_environment
from tests.helpers.commands import train
from tests.helpers.optional import reason
from tests.helpers.survival_rows import SLOW, add_row
from train.common.errors import refusal_of_the_disk

LIMITS = (0, 700, 20_000, 60_000, 200_000, 400_000, 900_000) if SLOW else (20_000,)
"""Bytes that no file may grow beyond."""
COMMANDS = ("fit, baseline", "fit, encoder", "label", "export", "compose", "tune")


def _run(name: str, folder: Path, *, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [sys.executable, "-m", "train", *CASES[name].words]
    return subprocess.run(
        command, cwd=folder, env=run_environment(folder), capture_output=True, text=True, preexec_fn=limited
    )


def _whole(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command where nothing is in its way: in this process, unless it is the long matrix."""
    if SLOW:
        return _run(name, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", run_environment(folder)["MLFLOW_TRACKING_URI"])
        return train(*CASES[name].words, cwd=folder)


def _require_clear(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 2, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert "remedy:" in done.stderr


def _quick(name: str) -> Any:
    """Unmarked for the one that runs in `make test`."""
    return name if name == "export" else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", map(_quick, COMMANDS if SLOW else ("fit, baseline", "label", "export")))
def test_files_that_may_not_grow_end_a_command_clearly_and_it_goes_on_when_they_may(
    name: str, made: Path, tmp_path: Path
) -> None:
    started = time.monotonic()
    ready(made, tmp_path / "undisturbed")
    assert _whole(name, tmp_path / "undisturbed").returncode == 0
    expected = CASES[name].result(tmp_path / "undisturbed")
    refused = 0
    for limit in LIMITS:
        folder = tmp_path / str(limit)
        ready(made, folder)
        done = _run(name, folder, limit=limit)
        if done.returncode != 0:
            _require_clear(done)
            refused += 1
            done = _whole(name, folder)
        assert done.returncode == 0, done.stderr[-3000:]
        for kept in (folder / "out").glob(
            "*/unsent.jsonl"
        ):  # MLflow's own file may not grow: what it was not told is kept, and said
            assert "make send" in done.stderr
            words = [sys.executable, "-m", "train", "send", "--model", str(kept.parent)]
            subprocess.run(words, cwd=folder, env=run_environment(folder), check=True, capture_output=True)
        assert CASES[name].same(CASES[name].result(folder), expected), limit
        assert not list(folder.rglob("*.part"))
        shutil.rmtree(folder)
    assert refused, "no limit was met"
    add_row(
        "files that may not grow (RLIMIT_FSIZE)",
        name,
        f"{len(LIMITS)} limits, {refused} refused clearly",
        time.monotonic() - started,
    )


@pytest.mark.slow
def test_an_export_that_the_disk_refuses_leaves_the_bundle_before_it_whole(made: Path, tmp_path: Path) -> None:
    ready(made, tmp_path)
    assert _run("export", tmp_path).returncode == 0
    before = CASES["export"].result(tmp_path)
    _require_clear(_run("export", tmp_path, limit=5_000))
    assert CASES["export"].result(tmp_path) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], capture_output=True
    ).returncode:
        pytest.skip(reason("mounts"))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_ends_labelling_clearly_and_with_room_it_goes_on(
    made: Path, tmp_path: Path, small_disk: Path
) -> None:
    work = tmp_path / "work"
    ready(made, work)
    (small_disk / "labels").mkdir()
    (work / "labels").symlink_to(small_disk / "labels")
    (small_disk / "ballast").write_bytes(bytes(300_000))
    done = _run("label", work)
    _require_clear(done)
    assert "No space left on device" in done.stderr
    kept = len(list((small_disk / "labels").glob("part-*.parquet")))
    assert kept, "the disk was full before the first part"
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    done = _run("label", work)
    assert done.returncode == 0, done.stderr
    assert f"{kept * 100} of them before" in done.stdout.replace(",", "")
    CASES["label"].result(work)
    add_row("a full disk (tmpfs)", "label", f"{kept} parts kept, went on", 0)


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that even root may not write."""
    folder = tmp_path / "closed"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro,size=512k", "tmpfs", str(folder)], capture_output=True
    ).returncode:
        pytest.skip(reason("mounts"))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fit, baseline", "label", "export"])
def test_a_folder_that_may_not_be_written_is_told(name: str, made: Path, tmp_path: Path, closed: Path) -> None:
    work = tmp_path / "work"
    ready(made, work)
    for target in ("out", "labels", "bundle"):
        (work / target).symlink_to(closed / target)
    done = _run(name, work)
    _require_clear(done)
    add_row("a read-only folder", name, "refused clearly", 0)


def test_causes_are_found_in_the_chain() -> None:
    try:
        try:
            raise OSError(28, "No space left on device", "/disk/file")
        except OSError as error:
            raise RuntimeError("the writer failed") from error
    except RuntimeError as error:
        found = refusal_of_the_disk(error)
    assert found is not None
    assert found.rule == "disk-full"
    assert "/disk/file" in str(found)
    assert refusal_of_the_disk(ValueError("something else")) is None
    assert (
        refusal_of_the_disk(RestException({"error_code": "PERMISSION_DENIED", "message": "Permission denied"})) is None
    )

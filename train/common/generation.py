"""Which of a folder's runs is whole: the one in it or, while another is at work there, the one before."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from train.common.errors import InputError

OUTCOME = "outcome.json"
"""In the output folder of a finished run; written last, it makes all else there the run's."""
UNFINISHED = "unfinished.json"
"""In the output folder of a run that has begun and not ended: its fingerprint and its MLflow run."""
PREVIOUS = "previous"
"""Folder, inside the output folder, of the finished run that was there, until the next is whole."""
_OF_A_RUN = (
    *("config.yaml", "split.json", "validation.json", "test.json", "calibration.json", "decoding.json", "bundle"),
    *("page_reader.safetensors", "page_reader.json"),
)
"""What is read of a finished run."""


def finished_run(output: Path) -> Path:
    """The folder of the finished run that an output folder holds; its files are all of this one run.

    Args:
        output: The output folder of a run.

    Raises:
        InputError: A run has begun there, and none has ended yet.
    """
    if (output / OUTCOME).is_file() or not (output / UNFINISHED).is_file():
        return output
    if (output / PREVIOUS / OUTCOME).is_file():
        return output / PREVIOUS
    raise InputError(
        "a run that is not finished",
        expected="the output folder of a finished run",
        remedy="give the same `fit` again: it goes on where it was; or wait for it",
        path=output,
        rule="unfinished",
    )


def keep_finished(output: Path) -> None:
    """Keeps the finished run of an output folder as its previous one; costs no room where files can have two names."""
    if not (output / OUTCOME).is_file():
        return  # what was kept before is still the last that was whole
    aside = output / f".{PREVIOUS}"
    for left in (aside, output / PREVIOUS):
        shutil.rmtree(left, ignore_errors=True)
    aside.mkdir()
    for name in (*_OF_A_RUN, OUTCOME):
        if (output / name).is_dir():
            shutil.copytree(output / name, aside / name, copy_function=_link)
        elif (output / name).is_file():
            _link(output / name, aside / name)
    aside.rename(output / PREVIOUS)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without
        shutil.copy2(source, target)


def put_in_place(aside: Path, folder: Path) -> None:
    """Puts a whole folder in another's place; a link goes on pointing where it points.

    Where the system can exchange two names, a folder is there at any moment.

    Args:
        aside: The folder that is whole, beside `folder`; what was in `folder` may be in it afterwards, to be deleted.
        folder: Where it is to be.
    """
    folder = folder.resolve()
    old = folder.with_name(f".{folder.name}.old")
    if old.is_dir() and not folder.exists():
        old.rename(folder)  # a process was killed between the two renames below
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        if _exchanged(aside, folder):
            return
        folder.rename(old)
    try:
        aside.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether two names were exchanged in one step (Linux: `renameat2`); False where system or disk cannot."""
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    here, exchange = -100, 2
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0)

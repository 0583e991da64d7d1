"""Files that are whole or absent: write aside, then rename; and the hashes that name their content."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.common.signals import alive


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it onto `path` only when the block succeeds.

    What processes of this machine that were killed left beside it is deleted.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = f".{path.name}.{platform.node()}."
    for left in path.parent.glob(glob.escape(ours) + "*.part"):
        pid = left.name.removeprefix(ours).removesuffix(".part")
        if pid.isdecimal() and not alive(int(pid)):
            left.unlink(missing_ok=True)
    aside = path.with_name(f"{ours}{os.getpid()}.part")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())  # else a power cut may leave the new name with nothing in it
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def only_begun(path: Path) -> bool:
    """Whether the folder of `path` holds nothing but partial files of `path`, left by writers that were killed."""
    return all(other.name.startswith(f".{path.name}.") and other.suffix == ".part" for other in path.parent.iterdir())


def begin_folder(folder: Path, state: Any) -> None:
    """Makes a folder whose `state.json` holds a state; what is in the folder then belongs to that state.

    What the folder held under another state is deleted, `state.json` last: a kill on the way leaves a folder that still
    says it is ours.

    Args:
        folder: The folder to make, or to take over from an earlier run.
        state: What the work in the folder depends on, as JSON: the same state finds the earlier work, another one
            deletes it.

    Raises:
        InputError: Something is in the folder, and no `state.json`.
    """
    marker = folder / "state.json"
    if marker.is_file() and read_json(marker) == state:
        return
    if folder.is_dir() and not marker.is_file() and not only_begun(marker):
        raise InputError(
            "a folder that is not ours",
            expected="no folder, or one of an earlier run",
            remedy="name another",
            path=folder,
            rule="not-ours",
        )
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != marker:
            path.unlink()
    write_json(marker, state)


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    with written_aside(path) as aside:
        aside.write_bytes(text.encode("utf-8", "backslashreplace"))  # JSON may hold lone surrogates, which UTF-8 cannot


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as indented JSON to `path`, whole or not at all. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        InputError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "no such file", expected="a JSON file", remedy="check the path", path=path, rule="no-file"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"not JSON: {error}", expected="a JSON file", remedy="write it again", path=path, rule="bad-json"
        ) from None


def sha256_file(path: Path) -> str:
    """sha256 of the file's bytes: what `sha256sum` prints."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_files(paths: Iterable[Path], root: Path) -> str:
    """One sha256 over the relative names and bytes of several files, in sorted order.

    Args:
        paths: The files, in any order.
        root: The folder that their names are taken relative to.
    """
    total = hashlib.sha256()
    for path in sorted(paths):
        total.update(f"{path.relative_to(root).as_posix()} {sha256_file(path)}\n".encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def digest_of(path: Path) -> str:
    """The sha256 that names a file (as `sha256sum` prints it) or a folder (over its files' names and bytes; links are
    left out)."""
    return (
        sha256_file(path)
        if path.is_file()
        else sha256_files((p for p in path.rglob("*") if p.is_file() and not p.is_symlink()), path)
    )


def sha256_json(value: Any) -> str:
    """sha256 of a value's canonical JSON."""
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, ensure_ascii=False).encode("utf-8", "backslashreplace")
    ).hexdigest()

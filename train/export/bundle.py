"""Writing a bundle: one folder with weights, settings, the reading code, and the sha256 of every file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import train.runtime
from train.common.errors import InputError
from train.common.files import read_json, sha256_file, write_json, write_text
from train.common.generation import put_in_place
from train.common.lock import in_use
from train.export.golden import write_golden
from train.models.quantize import REPORT as INT8_REPORT
from train.runtime import BundleError, Labeler, golden
from train.runtime.calibration import Calibration
from train.runtime.decoding import Decoder
from train.runtime.manifest import CODE as RUNTIME
from train.runtime.manifest import MANIFEST, SCHEMA, read_manifest, version_of
from train.runtime.text import ROLES, TOPIC_WORD_LIMIT

NAME = "newsparts"
CARD = "MODEL_CARD.md"
_REQUIREMENTS = {
    "baseline": ("numpy", "scipy", "scikit-learn", "skops"),
    "encoder": ("numpy", "onnxruntime", "tokenizers"),
}


def requirements(family: str) -> list[str]:
    """What a service must install to load a family's bundle, pinned to the versions it was made with."""
    return [f"{name}=={version(name)}" for name in _REQUIREMENTS[family]]


def write_bundle(
    folder: Path, family: str, decoder: Decoder, calibration: Calibration, write: Callable[[Path], dict[str, Any]]
) -> Path:
    """Writes a bundle aside and puts it in place of `folder` when it is whole.

    Args:
        folder: Where the bundle is to be; an older bundle there is replaced.
        family: `baseline` or `encoder`.
        decoder: The page decoder.
        calibration: Temperatures and thresholds.
        write: Writes the weights into the folder it is given and returns the family's part of the manifest.

    Returns:
        `folder`.
    """
    with _aside(folder) as aside:
        part = write(aside)
        source = Path(train.runtime.__file__).parent
        (aside / RUNTIME).mkdir()
        for path in sorted(source.glob("*.py")):
            shutil.copyfile(path, aside / RUNTIME / path.name)
        (aside / "requirements.txt").write_text("\n".join(requirements(family)) + "\n", encoding="utf-8")
        measured = list(aside.glob(INT8_REPORT))
        # A file of this name keeps Python from writing compiled code into the bundle, and from running what is there.
        (aside / RUNTIME / "__pycache__").touch()
        write_text(aside / golden.FILE, "")  # until the model can label the pages
        files = {
            p.relative_to(aside).as_posix(): sha256_file(p)
            for p in sorted(aside.rglob("*"))
            if p.is_file() and p not in measured and p.name != golden.FILE
        }
        manifest = {
            "schema": SCHEMA,
            "name": NAME,
            "family": family,
            "roles": list(ROLES),
            **part,
            "decoder": decoder.to_json(),
            "calibration": calibration.to_json(),
            "topic_word_limit": TOPIC_WORD_LIMIT,
            "files": files,
        }
        write_json(aside / MANIFEST, {"version": version_of(manifest), **manifest, "documents": {}})
        add_documents(aside, [aside / golden.FILE, *measured])
        add_documents(aside, [write_golden(Labeler.load(aside), aside)])
    return folder


def add_documents(bundle: Path, files: Iterable[Path]) -> None:
    """Lists files in the bundle's folder as its documents: checked like all others when it is loaded, but no part of
    its version.

    Args:
        bundle: The bundle's folder.
        files: Files in it that are not listed yet.
    """
    manifest = read_json(bundle / MANIFEST)
    manifest["documents"] |= {path.relative_to(bundle).as_posix(): sha256_file(path) for path in files}
    write_json(bundle / MANIFEST, manifest)


def copy_bundle(source: Path, target: Path) -> dict[str, Any]:
    """Copies a bundle to another folder, whole or not at all, after checking it; returns its manifest.

    Args:
        source: The bundle's folder.
        target: Where the copy is to be; an older bundle there is replaced.

    Raises:
        InputError: The source is no sound bundle, or the target is a folder that is not one.
    """
    manifest = checked_manifest(source)
    if target.exists() and not (target / MANIFEST).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            "something that is not a bundle is there already",
            expected="a new folder or an older bundle",
            remedy="name another folder",
            path=target,
        )
    with in_use(target), _aside(target) as aside:
        for name in (MANIFEST, *manifest["files"], *manifest["documents"]):
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, aside / name)
    return manifest


def checked_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of the bundle in `folder`, read and checked by `read_manifest`.

    Raises:
        InputError: It is no sound bundle.
    """
    try:
        return read_manifest(folder)
    except BundleError as error:
        raise InputError(
            str(error), expected="a bundle as `fit` and `export` write it", remedy="see above", rule="bad-bundle"
        ) from None


def size_mb(folder: Path) -> float:
    """Size of a bundle's files in MB (10^6 bytes)."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A new folder beside one that nobody else writes to; put in its place when the block ends. What a killed process
    left of it is deleted."""
    aside = folder.resolve().with_name(f".{folder.resolve().name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        put_in_place(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)

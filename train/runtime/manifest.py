"""`bundle.json`: what a bundle holds, by hash, and whether it may be loaded."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from .ranges import out_of_range
from .scorer import FAMILIES
from .text import ROLES

SCHEMA = 3
MANIFEST = "bundle.json"
GOLDEN = "golden.jsonl"
CODE = "newsparts_runtime"
"""The reading code's package name inside a bundle."""
MOST_BYTES = 64 * 2**20
"""Of a manifest."""
PACKAGES = ("numpy", "scipy", "sklearn", "skops", "onnxruntime", "tokenizers")
"""What a service installs: where one is missing, the bundle is not to blame."""
GONE = {"ensemble": "an ensemble", "hierarchical": "a hierarchical encoder"}
"""Families of older versions, whose files are not read any more -> what to call them."""
SILENT = ("version", "documents")
"""Of the manifest, what changes no answer; the rest names the version."""


class BundleError(ValueError):
    """A bundle that must not be loaded; the message says why and what to do."""


def read_manifest(folder: Path, *, sha256: str | None = None) -> dict[str, Any]:
    """A bundle's manifest, once everything it says has been found true, and nothing it does not list been found.

    Args:
        folder: The bundle's folder.
        sha256: What the sha256 of its manifest must be, as `make export` prints it; None takes any.

    Raises:
        BundleError: See `Labeler.load`.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"{folder} is not a bundle: it has no {MANIFEST}. Train with `make train` or export with `make export` "
            "first."
        )
    if path.stat().st_size > MOST_BYTES:
        raise BundleError(f"{path} has more than {MOST_BYTES:,} bytes. Do not use this bundle.")
    content = path.read_bytes()
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256.lower():
        raise BundleError(
            f"{path} has the sha256 {hashlib.sha256(content).hexdigest()}, not {sha256}: another bundle. Copy the one "
            "that was meant, or ask who exported it."
        )
    try:
        manifest: dict[str, Any] = json.loads(content, parse_constant=_finite, parse_float=_finite)
        schema, roles, family, files = (
            manifest["schema"],
            manifest["roles"],
            manifest["family"],
            dict(manifest["files"]),
        )
        documents = dict(manifest.get("documents", {}))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{path} is not a bundle manifest ({error!r}). Export the model again.") from None
    if schema != SCHEMA:
        raise BundleError(
            f"{path} has schema {schema}, this runtime reads schema {SCHEMA}. Export the model again with this version."
        )
    if roles != list(ROLES):
        raise BundleError(f"{path} orders roles as {roles}, this runtime as {list(ROLES)}. Export the model again.")
    if manifest.get("version") != version_of(manifest):
        raise BundleError(
            f"{path} was changed after export: its version does not match its content. Export the model again."
        )
    _require_family(path, family, manifest)
    if files.keys() & documents.keys():
        raise BundleError(f"{path} lists {min(files.keys() & documents.keys())!r} twice. Do not use this bundle.")
    wrong = out_of_range(manifest)
    if wrong is not None:
        raise BundleError(f"{path} says {wrong}. Do not use this bundle.")
    for name in _needed(manifest):
        if name not in files and (name != GOLDEN or name not in documents):
            raise BundleError(f"{path} does not list {name}, which every such bundle has. Export the model again.")
    _require_listed(folder, files, documents)
    return manifest


def _needed(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The files that a bundle of its family cannot be without."""
    if manifest["family"] == "baseline":
        weights = ("model.skops", *(("trees.npz",) if manifest["baseline"]["reach"] else ()))
    else:
        small = ("segments.int8.onnx",) if manifest.get("int8") else ()
        weights = ("page.onnx", "segments.onnx", "tokenizer.json", *small)
    return (*weights, f"{CODE}/__init__.py", "requirements.txt", GOLDEN)


def _require_listed(folder: Path, files: Mapping[str, str], documents: Mapping[str, str]) -> None:
    """Raises a BundleError unless the folder holds what is listed, by its hash, and nothing else."""
    path, listed = folder / MANIFEST, {**files, **documents}
    for name in listed:
        parts = PurePosixPath(name).parts
        if (
            not parts
            or ".." in parts
            or name.startswith("/")
            or not (folder / name).resolve().is_relative_to(folder.resolve())
        ):
            raise BundleError(f"{path} lists {name!r}, which lies outside the bundle. Do not use this bundle.")
    for name in _names(folder):
        if name != MANIFEST and name not in listed:
            raise BundleError(
                f"{folder / name} is not listed in {MANIFEST}. Delete it when you know where it is from, or copy the "
                "bundle again."
            )
    for name, digest in listed.items():
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing. Copy the bundle again.")
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise BundleError(
                    f"{folder / name} is not the file that was exported (sha256 differs). Copy the bundle again."
                )


def _names(folder: Path) -> Iterator[str]:
    """All that lies in a folder and is no folder itself; a link to one is none."""
    for place, folders, names in os.walk(folder):
        for name in (*names, *(name for name in folders if os.path.islink(os.path.join(place, name)))):
            yield Path(place, name).relative_to(folder).as_posix()


def _finite(literal: str) -> float:
    """A number of a manifest; NaN and infinities are none."""
    number = float(literal)
    if not math.isfinite(number):
        raise ValueError(f"{literal} is no number")
    return number


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Within the block, what a library raises of a bundle's files becomes a BundleError.

    Args:
        folder: The bundle's folder.
    """
    try:
        yield
    except BundleError:
        raise
    except BaseException as error:
        absent = isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in PACKAGES
        # What goes wrong in Rust (tokenizers) is no Exception.
        if absent or not (isinstance(error, Exception) or type(error).__name__ == "PanicException"):
            raise
        told = f"{type(error).__name__}: {error}"[:300]
        raise BundleError(f"{folder} cannot be read ({told}). Copy it again, or export the model again.") from error


def _require_family(path: Path, family: object, manifest: dict[str, Any]) -> None:
    """Raises a BundleError where there is no such family, or none any more: older versions had others, and `encoder`
    was another model."""
    gone = "the packed encoder" if family == "encoder" and "windows" in manifest else GONE.get(str(family))
    if gone is not None:
        raise BundleError(
            f"{path} is of {gone}, which is gone. Train anew: `make train CONFIG=configs/pages-encoder.yaml "
            "SET=corpus.path=…`, then `make export`."
        )
    if family not in FAMILIES:
        raise BundleError(
            f"{path} is of family {family!r}, this runtime reads {' and '.join(FAMILIES)}. Load it with the version "
            "that made it."
        )


def version_of(manifest: dict[str, Any]) -> str:
    """The name of what answers: the first 12 hex digits of the sha256 of the manifest without its version and
    documents."""
    body = {key: value for key, value in manifest.items() if key not in SILENT}
    return hashlib.sha256(
        json.dumps(body, sort_keys=True, ensure_ascii=False).encode("utf-8", "backslashreplace")
    ).hexdigest()[:12]

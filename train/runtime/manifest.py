"""`bundle.json`: what a bundle holds, by hash, and whether it may be loaded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from .scorer import FAMILIES
from .text import ROLES

SCHEMA = 3
MANIFEST = "bundle.json"
GONE = {"ensemble": "an ensemble", "hierarchical": "a hierarchical encoder"}
"""Families of older versions, whose files are not read any more -> what to call them."""
SILENT = ("version", "documents")
"""Of the manifest, what changes no answer; the rest names the version."""


class BundleError(ValueError):
    """A bundle that must not be loaded; the message says why and what to do."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """A bundle's manifest, once everything it says has been found true.

    Raises:
        BundleError: See `Labeler.load`.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(
            f"{folder} is not a bundle: it has no {MANIFEST}. Train with `make train` or export with `make export` "
            "first."
        )
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
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
    for name, digest in {**files, **documents}.items():
        parts = PurePosixPath(name).parts
        if (
            not parts
            or ".." in parts
            or name.startswith("/")
            or not (folder / name).resolve().is_relative_to(folder.resolve())
        ):
            raise BundleError(f"{path} lists {name!r}, which lies outside the bundle. Do not use this bundle.")
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing. Copy the bundle again.")
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise BundleError(
                    f"{folder / name} is not the file that was exported (sha256 differs). Copy the bundle again."
                )
    return manifest


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

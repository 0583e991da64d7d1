"""What a finished run left behind, and how to read it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.common.files import read_json
from train.runtime import BundleError
from train.runtime.manifest import read_manifest

OUTCOME = "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """What a run left behind.

    Args:
        output: Its folder; usable as `--model`.
        metrics: Contract 7's names -> value.
        run_id: MLflow run, or None when tracking was off.
        model_uri: `models:/m-…`, or None.
        version: The bundle's version.
        corpus_sha256: `run_pages.corpus_sha256`.
        split_sha256: Of which page is in which part.
    """

    output: Path
    metrics: Mapping[str, float]
    run_id: str | None
    model_uri: str | None
    version: str
    corpus_sha256: str
    split_sha256: str


def bundle_version(folder: Path) -> str | None:
    """The version of the bundle in a folder; None where there is none that can be read."""
    try:
        return str(read_manifest(folder)["version"])
    except BundleError:
        return None


def run_corpus_sha256(output: Path) -> str | None:
    """The sha256 of the corpus that the finished run in a folder read; None where there is no such run."""
    return read_outcome(output).corpus_sha256 if (output / OUTCOME).is_file() else None


def read_outcome(output: Path) -> Outcome:
    """The outcome of a finished run, by its output folder.

    Raises:
        InputError: There is no finished run in it.
    """
    found: dict[str, Any] = read_json(output / OUTCOME)
    names = ("metrics", "run_id", "model_uri", "version", "corpus_sha256", "split_sha256")
    return Outcome(output, **{name: found[name] for name in names})

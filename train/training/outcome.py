"""What a finished run left behind, how to read it again, and how to complete it when MLflow was away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.common.files import read_json, write_json
from train.common.generation import OUTCOME, finished_run
from train.runtime import BundleError
from train.runtime.manifest import read_manifest
from train.tracking import runs


@dataclass(frozen=True)
class Outcome:
    """What a run left behind.

    Args:
        output: The folder it wrote to; usable as `--model`.
        metrics: The name of each metric in MLflow, and its value.
        run_id: The id of the MLflow run, or None when tracking was off.
        model_uri: The URI of the model that the run logged, `models:/m-…`, or None.
        version: The version of the bundle.
        corpus_sha256: The hash of the corpus.
        split_sha256: The hash of which page is in which part.
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
    return read_outcome(output).corpus_sha256 if (finished_run(output) / OUTCOME).is_file() else None


def require_of_run(run: Path, version: str) -> None:
    """Refuses a model that is not the one of the run in a folder, as when another run has ended there meanwhile.

    Args:
        run: The folder of a finished run; one that tells no outcome is taken as it is.
        version: The version of the model that was loaded.

    Raises:
        InputError: It is of another run than the split and the scores there.
    """
    if (run / OUTCOME).is_file() and read_outcome(run).version != version:
        raise InputError(
            f"model {version} beside the split of model {read_outcome(run).version}",
            expected="one run's model and split",
            remedy="give the command again; if it stays so, train again",
            path=run,
            rule="other-run",
        )


def read_outcome(output: Path) -> Outcome:
    """The outcome of a finished run, by its output folder; of the one before, while another is at work there.

    Raises:
        InputError: There is no finished run in it.
    """
    output = finished_run(output)
    fields: dict[str, Any] = read_json(output / OUTCOME)
    names = ("metrics", "run_id", "model_uri", "version", "corpus_sha256", "split_sha256")
    return Outcome(output, **{name: fields[name] for name in names})


def send_pending(output: Path) -> tuple[int, str | None]:
    """Sends what a run's folder keeps for a store that was away, and adds the URI of its model to the outcome.

    Args:
        output: The output folder of a run, a search or a cross-validation.

    Returns:
        How many things were sent, and the URI of the run's model when it was among them.

    Raises:
        InputError: Nothing is kept there, or the store is still away.
    """
    sent, model_uris = runs.send_pending(output)
    if not (output / OUTCOME).is_file():
        return sent, None
    outcome = read_json(output / OUTCOME)
    uri = model_uris.get(outcome["run_id"])
    if uri is not None:
        write_json(output / OUTCOME, {**outcome, "model_uri": uri})
    return sent, uri

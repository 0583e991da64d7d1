"""A run's marks in its output folder: begun, and to be gone on with; or finished, and not to be done again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from train.common.files import read_json, write_json
from train.common.generation import OUTCOME, PREVIOUS, UNFINISHED, keep_finished
from train.config.schema import Config
from train.corpus.loading import corpus_sha256
from train.tracking.store import has_model
from train.training.fingerprint import run_fingerprint
from train.training.outcome import Outcome, bundle_version, read_outcome

WORK = "work"
"""Folder, inside the output folder, for what a family has done so far."""


def unfinished_run(output: Path, fingerprint: str) -> tuple[bool, str | None]:
    """Whether there is work to go on with; work of another config, corpus or code is deleted.

    Args:
        output: The run's output folder.
        fingerprint: `run_fingerprint` of the run that is about to begin.

    Returns:
        Whether work of this very run is there, and the id of its MLflow run, or None where it has none.
    """
    marker = output / UNFINISHED
    if marker.is_file():
        begun = read_json(marker)
        if begun.get("state") == fingerprint:
            return True, begun.get("run_id")
    shutil.rmtree(output / WORK, ignore_errors=True)
    return False, None


def mark_begun(output: Path, fingerprint: str, run_id: str | None) -> None:
    """Marks a folder as that of a run that is not finished; a finished one in it is kept until then.

    Args:
        output: The run's output folder.
        fingerprint: `run_fingerprint` of the run.
        run_id: The id of its MLflow run, or None where tracking is off.
    """
    keep_finished(output)
    write_json(output / UNFINISHED, {"state": fingerprint, "run_id": run_id})
    (output / OUTCOME).unlink(missing_ok=True)


def mark_finished(outcome: Outcome, fingerprint: str) -> None:
    """Writes the outcome of a run, and deletes what only an unfinished one needs.

    Args:
        outcome: What the run left behind.
        fingerprint: `run_fingerprint` of the run.
    """
    output = outcome.output
    write_json(
        output / OUTCOME,
        {
            "state": fingerprint,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "run_id": outcome.run_id,
            "model_uri": outcome.model_uri,
            "version": outcome.version,
            "corpus_sha256": outcome.corpus_sha256,
            "split_sha256": outcome.split_sha256,
            "metrics": dict(outcome.metrics),
        },
    )
    (output / UNFINISHED).unlink(missing_ok=True)
    for left in (WORK, PREVIOUS):
        shutil.rmtree(output / left, ignore_errors=True)


def finished(config: Config) -> Outcome | None:
    """The outcome in `config.output`, or None unless it is of this very config, corpus and code, its bundle is whole
    and MLflow has its model."""
    output = Path(config.output)
    if not (output / OUTCOME).is_file():
        return None
    if read_json(output / OUTCOME).get("state") != run_fingerprint(config, corpus_sha256(config)):
        return None
    outcome = read_outcome(output)
    if outcome.version != bundle_version(output / "bundle"):
        return None
    return outcome if outcome.model_uri is None or has_model(outcome.model_uri) else None

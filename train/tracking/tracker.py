"""What a run tells MLflow while it goes on."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from train.common.files import sha256_json, write_json
from train.corpus.splits.split import PARTS, Split
from train.tracking.outbox import Outbox
from train.tracking.senders import model_of, quiet
from train.tracking.store import T


class Tracker:
    """Records nothing; what a run uses when `tracking.enabled` is false."""

    @property
    def run_id(self) -> str | None:
        """The id of the run; None where there is none."""
        return None

    def step_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Records `metrics` (name -> value) of the training step `step`."""

    def metrics(self, metrics: Mapping[str, float]) -> None:
        """Records metrics of the run: name -> value."""

    def params(self, params: Mapping[str, Any]) -> None:
        """Records the run's settings: name -> value."""

    def tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags of the run: name -> value."""

    def file(self, path: Path, folder: str | None = None) -> None:
        """Logs the file at `path` as an artifact, in the artifact folder `folder` (None: at the top)."""

    def table(self, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
        """Writes rows to a JSON file that MLflow shows, and compares between runs, as a table.

        Args:
            rows: Rows of the same keys.
            path: The JSON file to write and log.
        """

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        """Sets the run's description: Markdown `text`, and `links` (name -> artifact path) after it."""

    def datasets(self, split: Split, source: str, corpus_sha256: str) -> None:
        """Records what the run read, a data set for each part.

        Args:
            split: Which page is in which part.
            source: The corpus, as the config names it.
            corpus_sha256: The sha256 that names the corpus.
        """

    def model(self, bundle: Path, metrics: Mapping[str, float]) -> str | None:
        """Logs a bundle as the run's model.

        Args:
            bundle: The bundle's folder.
            metrics: The run's metrics; those of the test part become the model's.

        Returns:
            Its `models:/` URI; None where the store has not made it yet.
        """
        return None


class MlflowTracker(Tracker):
    """Records into one MLflow run; what the store does not take is kept in the outbox and sent later.

    Args:
        run: Id of the run, or the name it is put under while the store has not made it.
        experiment: Its id.
        outbox: On its way to the store.
    """

    def __init__(self, run: str, experiment: str, outbox: Outbox) -> None:
        self._run, self.experiment, self.outbox = run, experiment, outbox
        self._test: dict[str, str] = {}

    @property
    def run_id(self) -> str | None:
        """As the store knows it, as soon as it does."""
        return self.outbox.names.get(self._run, self._run)

    def put(self, op: str, **arguments: Any) -> None:
        """Sends an entry to the store, now or later: `op`, one of `senders.SENDERS`, with the `arguments` it takes."""
        self.outbox.put({"op": op, "run": self.run_id, "time": _now_ms(), **arguments})

    def step_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        self.put("metrics", metrics=safe_names(metrics), step=step)

    def metrics(self, metrics: Mapping[str, float]) -> None:
        self.put("metrics", metrics=safe_names(metrics), step=0)

    def params(self, params: Mapping[str, Any]) -> None:
        self.put("params", params={name: str(value) for name, value in safe_names(params).items()})

    def tags(self, tags: Mapping[str, str]) -> None:
        self.put("tags", tags=dict(tags))

    def file(self, path: Path, folder: str | None = None) -> None:
        self.put("file", path=str(path.resolve()), folder=folder)

    def table(self, rows: Sequence[Mapping[str, Any]], path: Path) -> None:
        # As mlflow.log_table writes it, which would add to the table of a run that was killed, and knows no halves of
        # characters.
        columns = list(rows[0]) if rows else []
        write_json(path, {"columns": columns, "data": [[row[name] for name in columns] for row in rows]})
        self.file(path)
        self.tags({"mlflow.loggedArtifacts": json.dumps([{"path": path.name, "type": "table"}])})

    def describe(self, text: str, links: Mapping[str, str]) -> None:
        self.put("note", text=text, links=dict(links), experiment=self.experiment)

    def datasets(self, split: Split, source: str, corpus_sha256: str) -> None:
        import mlflow
        import pandas as pd

        for part in PARTS:
            pages = split.parts[part]
            frame = pd.DataFrame([{"page_id": p.page_id, "site": p.site, "segments": p.segments} for p in pages])
            with quiet():  # a local path "can be interpreted in multiple ways": it is a file here
                # MLflow's own digest reads only the first 10,000 rows; ours names the file's bytes, the split and the
                # part.
                digest = sha256_json([corpus_sha256, split.sha256, part])[:16]
                data = mlflow.data.from_pandas(frame, source=source, name=f"newsparts-{part}", digest=digest)
                description = data.to_dict()  # looks at the columns: it warns too
            self.put("dataset", part=part, dataset=description)
            if part == "test":
                self._test = {"dataset_name": data.name, "dataset_digest": data.digest}

    def model(self, bundle: Path, metrics: Mapping[str, float]) -> str | None:
        test = {name: value for name, value in metrics.items() if name.startswith("test/")}
        self.put("model", bundle=str(bundle.resolve()), metrics=safe_names(test), dataset=self._test)
        return self.outbox.names.get(model_of(self.run_id))


def run_context(tags: dict[str, str]) -> dict[str, str]:
    """Tags with what MLflow itself says of a run: user, source, commit."""
    from mlflow.tracking.context.registry import resolve_tags

    return dict(resolve_tags(tags))


def _now_ms() -> int:
    return int(time.time() * 1000)


LONGEST_NAME = 250
"""Characters of a name, the most that MLflow takes."""


def safe_names(values: Mapping[str, T]) -> dict[str, T]:
    """Metrics or params under names that MLflow takes, each under one of its own.

    A topic or a column may hold other characters than letters of any script, digits, `_-. :/`, be no step of a path
    (`a//b`, `a/`, `..`), or be too long. What two names would share gets the hash of each.

    Args:
        values: Name -> value; all names of one kind, as those of a part are, come at once.
    """
    safe = {name: _safe(name) for name in values}
    shared = Counter(safe.values())
    return {
        named if shared[named] == 1 or named == name else _hashed(named, name): values[name]
        for name, named in safe.items()
    }


def _safe(name: str) -> str:
    steps = [step if step.strip(".") else step.replace(".", "_") or "_" for step in name.split("/")]
    safe = re.sub(r"[^\w\-. :/]", "_", "/".join(steps))
    return safe if len(safe) <= LONGEST_NAME else _hashed(safe, name)


def _hashed(safe: str, name: str) -> str:
    digest = sha256_json(name)[:8]
    return f"{safe[: LONGEST_NAME - len(digest) - 1]}_{digest}"

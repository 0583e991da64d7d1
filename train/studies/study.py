"""The loop of every study: rows that each train and label, are scored, and are compared with another row.

An ablation, a learning curve and a comparison of corpora differ in their rows alone: in the config, in the pages that
models learn from, in the pages they are tested on. A study is one MLflow run, a row a run below it. Rows that are done
are not done again, and a killed row goes on with its next fold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train.common.console import console
from train.common.files import read_json, sha256_json, write_json, write_text
from train.common.markdown import table
from train.config.schema import Config
from train.corpus.page import Page
from train.corpus.sources import jsonl
from train.evaluation.metrics import KEY_METRICS, Evaluation, paired_difference
from train.studies.results import Measured, save_rows
from train.studies.tables import cells, make_command, note
from train.tracking.runs import tracked_run
from train.tracking.tracker import Tracker
from train.training.crossval import TrainingSelection, folds_fingerprint, out_of_fold
from train.training.scoring import score

Label = Callable[[Path], list[dict[str, Any]]]


@dataclass(frozen=True)
class Row:
    """One row of a study.

    Args:
        name: Its name, unique within the study; its folder is called so.
        config: The model it trains, and how it is scored.
        pages: The labelled pages it is tested on.
        label: Labels these pages, given a folder to work in, by models that have not seen their sites.
        state: Names all that the records depend on, so that those of an earlier call are known; None where nothing is
            trained, and nothing is kept.
        details: What tells the row from the others: column -> text or number, the first cells of its line.
        reference: The name of an earlier row of the same pages, which this one is compared with.
    """

    name: str
    config: Config
    pages: Sequence[Page]
    label: Label
    state: str | None = None
    details: Mapping[str, str | float] = field(default_factory=dict)
    reference: str | None = None


@dataclass(frozen=True)
class Result:
    """A row with its scores.

    Args:
        row: The row.
        scores: The scores on all its pages.
        difference: The scores less those of the reference, paired over sites; None without a reference.
        minutes: How long it took to train and label.
    """

    row: Row
    scores: Evaluation
    difference: Evaluation | None
    minutes: float

    @property
    def change(self) -> str:
        """The difference in role macro-F1 with its interval, in points; empty without a reference."""
        if self.difference is None:
            return ""
        value, (low, high) = self.difference.values["role/macro_f1"], self.difference.intervals["role/macro_f1"]
        return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"

    def to_json(self) -> dict[str, Any]:
        """The row's details and scores as plain values."""
        difference = {} if self.difference is None else {"difference": self.difference.to_json()}
        return {**self.row.details, "minutes": round(self.minutes, 2), **self.scores.to_json(), **difference}

    def measured(self) -> Measured:
        """The row as a record keeps it; the difference in points."""
        details = {name: value for name, value in self.row.details.items() if value != self.row.name}
        values = Measured.from_scores(self.scores, **details)
        if self.difference is None:
            return values
        points = Measured.from_difference(self.difference)
        return Measured({**values.metrics, **points.metrics}, {**values.intervals, **points.intervals})


def cross_validated(
    config: Config, pages: Sequence[Page], corpus_sha256: str, *, count: int, selection: TrainingSelection | None = None
) -> tuple[Label, str]:
    """How a row is labelled by cross-validation, and the state that names its records.

    Args:
        config: The model to train.
        pages: Labelled pages.
        corpus_sha256: Names the corpus.
        count: The number of folds.
        selection: The training selection, when it is not the pages of the other folds.
    """

    def label(folder: Path) -> list[dict[str, Any]]:
        return out_of_fold(config, pages, corpus_sha256, count=count, work=folder, selection=selection)

    return label, folds_fingerprint(config, corpus_sha256, count, selection)


@dataclass(frozen=True)
class Study:
    """What a study is, apart from its rows.

    Args:
        verb: The make target; `VERB.json` holds the results.
        config: The path of the config, or of the plan.
        overrides: `key=value` overrides of every row.
        count: The number of folds.
        corpora: Name -> sha256 of each corpus; a single one has no name.
        variables: Further variables of the make command.
        save_as: The table of `configs/results` that keeps the rows; None keeps none.
    """

    verb: str
    config: str
    overrides: Sequence[str]
    count: int
    corpora: Mapping[str, str]
    variables: Mapping[str, str]
    save_as: str | None = None

    @property
    def command(self) -> str:
        """The command that makes the study again."""
        return make_command(self.verb, self.config, self.overrides, self.variables, folds=self.count)


def run_study(
    study: Study, rows: Sequence[Row], output: Path, *, also: Callable[[list[Result], Tracker], None] | None = None
) -> list[Result]:
    """Labels and scores every row, compares it with its reference, and writes `table.md` and `VERB.json`.

    Args:
        study: What the study is.
        rows: The rows, references first.
        output: The folder of the study; each row has one below it.
        also: What else is made of the results, and told to the MLflow run.
    """
    name = f"{study.verb} {Path(study.config).stem}"
    with tracked_run(rows[0].config, resume=None, fallback_name=name, folder=output) as tracker:
        records: dict[str, list[dict[str, Any]]] = {}
        results = []
        for row in rows:
            console.print(row.name, markup=False)
            records[row.name], minutes = _records(row, output / _slug(row.name), tracker)
            better = _difference(row, records) if row.reference is not None else None
            results.append(Result(row, score(row.pages, records[row.name], row.config), better, minutes))
        hashes = ", ".join(f"{key} `{value[:12]}`".strip() for key, value in study.corpora.items())
        pages = {page.page_id: page.site for row in rows for page in row.pages}
        facts = [f"{study.count} folds by site", f"{len(pages)} pages of {len(set(pages.values()))} sites"]
        write_text(
            output / "table.md", f"{markdown(results)}\n{note(study.command, *facts, f'corpus sha256 {hashes}')}"
        )
        header = {"config": Path(study.config).stem, "corpus_sha256": dict(study.corpora), "folds": study.count}
        write_json(output / f"{study.verb}.json", {**header, "rows": [one.to_json() for one in results]})
        for file in ("table.md", f"{study.verb}.json"):
            tracker.file(output / file)
        if also is not None:
            also(results, tracker)
    if study.save_as is not None:
        sha256 = next(iter(study.corpora.values())) if len(study.corpora) == 1 else sha256_json(dict(study.corpora))
        measured = {one.row.name: one.measured() for one in results}
        save_rows(study.save_as, measured, command=study.command, corpus_sha256=sha256)
    return results


def _difference(row: Row, records: Mapping[str, list[dict[str, Any]]]) -> Evaluation:
    settings = row.config.evaluation
    return paired_difference(
        row.pages,
        records[row.name],
        records[str(row.reference)],
        bootstrap_samples=settings.bootstrap_samples,
        confidence=settings.confidence,
        seed=row.config.seed,
    )


def _records(row: Row, folder: Path, tracker: Tracker) -> tuple[list[dict[str, Any]], float]:
    """The records of a row and the minutes they took, kept from an earlier call or made now."""
    if row.state is None:
        return row.label(folder), 0.0
    done, path = folder / "row.json", folder / "records.jsonl.gz"
    if done.is_file() and read_json(done)["state"] == row.state:
        kept = [one for _, one in jsonl.lines(path) if isinstance(one, dict)]
        return kept, float(read_json(done)["minutes"])
    done.unlink(missing_ok=True)  # else the old state would vouch for new records
    started = time.monotonic()
    with tracked_run(row.config, resume=None, fallback_name=row.name, folder=folder, parent=tracker) as run:
        records = row.label(folder / "folds")
        run.metrics(score(row.pages, records, row.config).metrics("crossval"))
    minutes = (time.monotonic() - started) / 60
    jsonl.write(path, records)
    write_json(done, {"state": row.state, "name": row.name, "minutes": minutes})
    return records, minutes


def markdown(results: Sequence[Result]) -> str:
    """The results as a Markdown table: details, key metrics, and the difference where there are references."""
    compared = any(one.difference is not None for one in results)
    header = [*results[0].row.details, *KEY_METRICS.values()]
    lines = [[*map(_cell, one.row.details.values()), *cells(one.scores)] for one in results]
    if compared:
        header += ["change of macro-F1 (95 %)", "min"]
        for line, one in zip(lines, results, strict=True):
            line += [one.change, f"{one.minutes:.1f}" if one.minutes else ""]
    return table(header, lines)


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.0f}"


def _slug(name: str) -> str:
    """A folder's name for a row's."""
    return "".join(c if c.isalnum() or c == "_" else "-" for c in name).strip("-")

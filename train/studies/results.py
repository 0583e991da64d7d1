"""What commands measured: one record for each row of a table, in configs/results, of which documents' tables are made.

A study, a cross-validation, a benchmark or the demo writes its rows there when it is asked to (`--record`). `python -m
train results` renders each table between `<!-- results:NAME -->` and `<!-- /results -->` of a Markdown file; no table
of scores is typed by hand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from train.common.environment import machine
from train.common.errors import InputError
from train.common.files import read_json, write_json, write_text
from train.config.schema import Config
from train.corpus.loading import corpus_sha256
from train.evaluation.metrics import Evaluation
from train.studies.tables import make_command
from train.training.crossval import CrossValidation
from train.training.fingerprint import code_sha256

RESULTS = Path("configs/results")
COMMAND = "python -m train results"
LEAST_PAGES = 30
"""Slices of fewer pages say too little to be kept."""
_BLOCK = re.compile(r"<!-- results:(?P<name>[\w-]+) -->\n(?P<table>.*?)<!-- /results -->", re.DOTALL)
_OPENED = re.compile(r"^<!-- results:[\w-]+ -->$", re.MULTILINE)
_NOT_OURS = frozenset({"outputs", "node_modules", "mlartifacts", "mlruns"})


@dataclass(frozen=True)
class Measured:
    """The values of one row.

    Args:
        metrics: Metric name -> value; a text where the value is no number.
        intervals: Metric name -> lower and upper bound of its interval, in the unit of the metric.
    """

    metrics: Mapping[str, float | str]
    intervals: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @classmethod
    def from_scores(cls, scores: Evaluation, **more: float | str) -> Measured:
        """The values of an evaluation.

        Args:
            scores: The evaluation; its numbers of pages and sites become metrics too.
            **more: Further metrics, e.g. what the row cost.
        """
        values = {name: round(value, 6) for name, value in scores.values.items()}
        bounds = {name: [round(low, 6), round(high, 6)] for name, (low, high) in scores.intervals.items()}
        return cls({**values, "n_pages": scores.n_pages, "n_sites": scores.n_sites, **more}, bounds)

    @classmethod
    def from_difference(cls, difference: Evaluation, metric: str = "role/macro_f1") -> Measured:
        """A paired difference of scores as `gain/METRIC`, in points of a hundred.

        Args:
            difference: The scores less those of another model on the same pages.
            metric: The score whose difference is kept.
        """
        bounds = [round(100 * bound, 4) for bound in difference.intervals[metric]]
        return cls({f"gain/{metric}": round(100 * difference.values[metric], 4)}, {f"gain/{metric}": bounds})

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, float]) -> Measured:
        """The values of a run's metrics, whose intervals are metrics called `NAME/low` and `NAME/high`."""
        bounds = {
            name.removesuffix("/low"): [value, metrics[f"{name.removesuffix('/low')}/high"]]
            for name, value in metrics.items()
            if name.endswith("/low")
        }
        return cls({k: v for k, v in metrics.items() if not k.endswith(("/low", "/high"))}, bounds)


@dataclass(frozen=True)
class Record:
    """One row of a table, and how it came about.

    Args:
        table: Name of the table.
        row: Name of the row, unique within its table.
        metrics: Metric name -> value.
        intervals: Metric name -> lower and upper bound.
        command: The command that measured it.
        corpus_sha256: Names the pages; None where no corpus was read.
        code_sha256: Names the code; None for rows measured before records were kept.
        date: The day, as YYYY-MM-DD.
        machine: Processor and number of cores.
    """

    table: str
    row: str
    metrics: dict[str, float | str]
    intervals: dict[str, list[float]]
    command: str
    corpus_sha256: str | None
    code_sha256: str | None
    date: str
    machine: str

    @property
    def measured(self) -> str:
        """When, and on what processor."""
        return f"{self.date}, {self.machine}"

    @property
    def values(self) -> dict[str, float | str]:
        """The metrics, and the bounds of their intervals as `NAME/low` and `NAME/high`."""
        low = {f"{name}/low": pair[0] for name, pair in self.intervals.items()}
        high = {f"{name}/high": pair[1] for name, pair in self.intervals.items()}
        return {**self.metrics, **low, **high}


def save_rows(
    table: str, rows: Mapping[str, Measured], *, command: str, corpus_sha256: str | None = None, folder: Path = RESULTS
) -> Path:
    """Keeps the rows of a table in FOLDER/TABLE.json; rows of the same name are replaced, others stay.

    Args:
        table: Name of the table, of letters, digits and hyphens.
        rows: Row name -> its values.
        command: The command that measured them, which makes them again.
        corpus_sha256: Names the pages; None where no corpus was read.
        folder: Where the records are kept.

    Returns:
        The file that was written.
    """
    path = folder / f"{table}.json"
    about = machine()
    how = {
        "command": command,
        "corpus_sha256": corpus_sha256,
        "code_sha256": code_sha256(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{about['cpu']}, {about['cores']} cores",
    }
    kept = {old.row: asdict(old) for old in (read_table(path) if path.is_file() else [])}
    for name, measured in rows.items():
        bounds = {metric: list(pair) for metric, pair in measured.intervals.items()}
        kept[name] = {"table": table, "row": name, "metrics": dict(measured.metrics), "intervals": bounds, **how}
    write_json(path, list(kept.values()))
    return path


def save_cross_validation(
    result: CrossValidation,
    config: Config,
    path: Path,
    overrides: Sequence[str],
    *,
    count: int,
    slice_by: str | None,
    folder: Path = RESULTS,
) -> Path:
    """Keeps the scores of a cross-validation in `real-pages`, as `save_scores` does.

    Args:
        result: The scores.
        config: The model that was trained; a row is called by its family.
        path: Where the config is.
        overrides: Its `key=value` overrides.
        count: The number of folds.
        slice_by: The key of pages that slices go by; None without.
        folder: Where the records are kept.

    Returns:
        The file that was written.
    """
    command = make_command("crossval", path.as_posix(), overrides, {"SLICE": slice_by or ""}, folds=count)
    sha256 = corpus_sha256(config)
    scores = (result.whole, result.slices)
    return save_scores(config.family, *scores, slice_by=slice_by, command=command, corpus_sha256=sha256, folder=folder)


def save_scores(
    name: str,
    whole: Evaluation,
    slices: Mapping[str, Evaluation],
    *,
    slice_by: str | None,
    command: str,
    corpus_sha256: str,
    folder: Path = RESULTS,
) -> Path:
    """Keeps the scores of a model in `real-pages`: a row of the whole corpus, and one of each slice of `LEAST_PAGES`.

    Args:
        name: What the rows are called.
        whole: The scores on all pages.
        slices: Value -> the scores of its pages.
        slice_by: The key of pages that slices go by; None without.
        command: The command that measured them.
        corpus_sha256: Names the pages.
        folder: Where the records are kept.

    Returns:
        The file that was written.
    """
    rows = {name: Measured.from_scores(whole)}
    large = {value: one for value, one in slices.items() if one.n_pages >= LEAST_PAGES}
    rows |= {f"{name}, {slice_by} {value}": Measured.from_scores(one) for value, one in large.items()}
    return save_rows("real-pages", rows, command=command, corpus_sha256=corpus_sha256, folder=folder)


def read_records(folder: Path = RESULTS) -> dict[str, list[Record]]:
    """Table name -> its records, in their order.

    Raises:
        InputError: A file holds something else than records of the table that it is named after.
    """
    return {path.stem: read_table(path) for path in sorted(folder.glob("*.json"))}


def read_table(path: Path) -> list[Record]:
    """The records of one table, from the file of its name.

    Raises:
        InputError: The file holds something else.
    """
    keys = {one.name for one in fields(Record)}
    content: Any = read_json(path)
    good = isinstance(content, list) and all(
        isinstance(one, dict) and set(one) == keys and one["table"] == path.stem for one in content
    )
    if not good or len({one["row"] for one in content}) < len(content):
        raise InputError(
            "something else than records",
            expected=f"a list of objects with {', '.join(sorted(keys))}, table {path.stem!r}, no row twice",
            remedy="take the file from git, and let the command of the table write it again",
            path=path,
            rule="bad-records",
        )
    return [Record(**one) for one in content]


def render(text: str, tables: Mapping[str, str], path: Path) -> str:
    """A document with each of its marked blocks rendered again.

    Args:
        text: The document.
        tables: Block name -> its Markdown.
        path: Where the document lies, for errors.

    Raises:
        InputError: A block has no end, or a name that no table has.
    """
    if len(_OPENED.findall(text)) != len(_BLOCK.findall(text)):
        raise InputError(
            "a block of results without an end",
            expected="<!-- results:NAME --> and <!-- /results -->, each on a line of its own",
            remedy="add <!-- /results -->",
            path=path,
            rule="bad-block",
        )

    def table(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in tables:
            raise InputError(
                f"no results {name!r}",
                expected=f"one of {', '.join(sorted(tables))}",
                remedy="name one of them, or let a command write them with --record",
                path=path,
                rule="no-results",
            )
        return f"<!-- results:{name} -->\n{tables[name]}<!-- /results -->"

    return _BLOCK.sub(table, text)


def documents(root: Path) -> Iterator[Path]:
    """The Markdown files of a checkout, those of hidden folders and of what commands leave behind aside."""
    for folder, inner, files in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith(".") and name not in _NOT_OURS)
        yield from (Path(folder) / name for name in sorted(files) if name.endswith(".md"))


def update(root: Path, tables: Mapping[str, str], *, write: bool = True) -> list[Path]:
    """Renders every marked block of the Markdown files below a folder.

    Args:
        root: The checkout.
        tables: Block name -> its Markdown.
        write: Whether to write what changed; False only finds it.

    Returns:
        The files whose blocks were stale.

    Raises:
        InputError: A block has no end, or a name that no table has.
    """
    stale = []
    for path in documents(root):
        text = path.read_text(encoding="utf-8")
        rendered = render(text, tables, path)
        if rendered != text:
            stale.append(path)
            if write:
                write_text(path, rendered)
    return stale

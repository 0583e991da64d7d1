"""Many pages: a corpus is labelled into a folder of Parquet parts, in order, each page once; a killed run goes on where
it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from train.common.console import bar
from train.common.errors import InputError
from train.common.files import only_begun, read_json, write_json, written_aside
from train.common.lock import in_use
from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import Page
from train.corpus.read import Refusal, scan, unique
from train.corpus.sources import SOURCES, digest, locate
from train.corpus.sources.parquet import as_text
from train.runtime import Labeler
from train.runtime.text import ROLES

STATE, REPORT = "_state.json", "_report.json"
"""Files beside the parts; readers of Parquet folders pass over names that begin with an underscore."""
PAGES_A_PART = 1_000
_PROGRESS = b"newsparts.progress"


@dataclass(frozen=True)
class LabelledCorpus:
    """What a run left: `lines == labelled + refused`.

    Args:
        folder: The folder of the parts.
        lines: Number of pages in the corpus.
        labelled: Number of pages labelled, over all runs.
        refused: Number of lines that are no page; they are in `_refused-*.jsonl`.
        known: Number of pages that an earlier run had labelled already.
    """

    folder: Path
    lines: int
    labelled: int
    refused: int
    known: int


def label_corpus(
    labeler: Labeler,
    corpus: str,
    folder: Path,
    *,
    naming: ColumnMapping | None = None,
    pages_a_part: int = PAGES_A_PART,
) -> LabelledCorpus:
    """Labels every page of a corpus; memory stays flat but for the pages' ids.

    Args:
        labeler: The model.
        corpus: A path or `SOURCE:PATH`; labels in it are not looked at.
        folder: Gets `part-00000.parquet`, … with the columns of `predict`'s records, `_refused-00000.jsonl`, … with
            what is no page, and `_report.json` when all is done.
        naming: How its columns become ours.
        pages_a_part: Pages in a part: what a killed run loses at most.

    Raises:
        InputError: The corpus cannot be read, or the folder holds other things, or pages of another corpus or model, or
            another process labels into it.
    """
    with in_use(folder):
        return _label(labeler, corpus, folder, naming, pages_a_part)


def _label(
    labeler: Labeler, corpus: str, folder: Path, naming: ColumnMapping | None, pages_a_part: int
) -> LabelledCorpus:
    source, _ = locate(corpus)
    state = {
        "corpus": str(corpus),
        "corpus_sha256": digest(corpus),
        "source": next(name for name, known in SOURCES.items() if known is source),
        "columns": dict(naming.columns) if naming else {},
        "model": labeler.version,
        "pages_a_part": pages_a_part,
    }
    _begin(folder, state)
    done = _done(folder, labeler.version)
    labelled, lines, refused = done[-1] if done else (0, 0, 0)
    known = labelled
    items = unique(scan(corpus, labelled=None, naming=naming), corpus)
    for _ in islice(items, lines):  # their ids are remembered all the same
        pass
    with bar() as progress:
        task = progress.add_task("labelling", total=None, completed=labelled)
        part = len(done)
        while True:
            pages, errors, read = _next(items, pages_a_part)
            if not read:
                break
            lines, refused, labelled = lines + read, refused + len(errors), labelled + len(pages)
            _write_refused(folder / f"_refused-{part:05d}.jsonl", errors)
            counts = {"labelled": labelled, "lines": lines, "refused": refused}
            records = labeler.label((page.page_id, page.texts) for page in pages)
            _write_part(folder / f"part-{part:05d}.parquet", iter(progress.track(records, task_id=task)), counts)
            part += 1
    if not lines:
        raise InputError(
            "no page in it", expected="at least one page", remedy="check the export", path=corpus, rule="empty-corpus"
        )
    write_json(folder / REPORT, {**state, "lines": lines, "labelled": labelled, "refused": refused, "parts": part})
    return LabelledCorpus(folder, lines, labelled, refused, known)


def _begin(folder: Path, state: dict[str, Any]) -> None:
    """Makes the folder, or finds in it the same work begun."""
    if (folder / STATE).is_file():
        earlier = read_json(folder / STATE)
        if not any(folder.glob("part-*.parquet")):
            for left in (*folder.glob("_refused-*.jsonl"), folder / REPORT):  # perhaps of another corpus
                left.unlink(missing_ok=True)
            write_json(folder / STATE, state)
            return
        differs = [name for name in state if name != "corpus" and earlier.get(name) != state[name]]
        if differs:
            was, now = earlier.get(differs[0]), state[differs[0]]
            raise InputError(
                f"pages labelled with another {differs[0]}: {str(was)[:40]}, now {str(now)[:40]}",
                expected="the same corpus, columns, model and parts",
                remedy="name another folder, or delete this one",
                path=folder,
                rule="other-labels",
            )
        return
    if folder.exists() and (not folder.is_dir() or not only_begun(folder / STATE)):
        raise InputError(
            "something else is there already",
            expected="a new folder",
            remedy="name another folder",
            path=folder,
            rule="not-empty",
        )
    write_json(folder / STATE, state)


def _done(folder: Path, version: str) -> list[tuple[int, int, int]]:
    """Pages labelled, lines read and lines refused up to the end of each part that is whole and of this model alone."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole: list[tuple[int, int, int]] = []
    while (path := folder / f"part-{len(whole):05d}.parquet").is_file():
        try:
            progress = json.loads(pq.read_schema(path).metadata[_PROGRESS])
            if {row["version"] for row in pq.read_table(path, columns=["model"])["model"].to_pylist()} - {version}:
                break
            whole.append((int(progress["labelled"]), int(progress["lines"]), int(progress["refused"])))
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
            break  # a power cut, or another's file: it is written again
    return whole


def _next(items: Iterator[tuple[int, Page | Refusal]], most: int) -> tuple[list[Page], list[tuple[int, Refusal]], int]:
    """The next pages of a part and what was refused among them, `most` of each, and how many lines that were."""
    pages: list[Page] = []
    errors: list[tuple[int, Refusal]] = []
    while len(pages) < most and len(errors) < most and (numbered := next(items, None)) is not None:
        line, item = numbered
        if isinstance(item, Refusal):
            errors.append((line, item))
        else:
            pages.append(item)
    return pages, errors, len(pages) + len(errors)


def _write_refused(path: Path, errors: list[tuple[int, Refusal]]) -> None:
    if not errors:
        path.unlink(missing_ok=True)
        return
    with written_aside(path) as aside, aside.open("wb") as file:
        for line, refusal in errors:
            file.write(refusal.row(line))


def record_schema() -> Any:
    """The Arrow schema of `predict`'s records."""
    import pyarrow as pa

    scores = pa.struct([(role, pa.float64()) for role in ROLES])
    segment = [
        ("text", pa.string()),
        ("role", pa.string()),
        ("confidence", pa.float64()),
        ("scores", scores),
        ("story", pa.int64()),
    ]
    story = [
        ("story", pa.int64()),
        ("role", pa.string()),
        ("topic", pa.string()),
        ("confidence", pa.float64()),
        ("segments", pa.list_(pa.int64())),
    ]
    return pa.schema(
        [
            ("page_id", pa.string()),
            ("segments", pa.list_(pa.struct(segment))),
            ("stories", pa.list_(pa.struct(story))),
            ("model", pa.struct([(name, pa.string()) for name in ("name", "version", "family")])),
        ]
    )


def _write_part(path: Path, records: Iterator[dict[str, Any]], progress: dict[str, int]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = record_schema().with_metadata({_PROGRESS: json.dumps(progress).encode()})
    with written_aside(path) as aside, pq.ParquetWriter(aside, schema, compression="zstd") as writer:
        while batch := [_storable(record) for record in islice(records, 256)]:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def _storable(record: dict[str, Any]) -> dict[str, Any]:
    segments = [{**segment, "text": as_text(segment["text"])} for segment in record["segments"]]
    return {**record, "page_id": as_text(record["page_id"]), "segments": segments}

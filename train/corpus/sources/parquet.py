"""Source: Parquet, one page a row (`segments` a list of structs, the JSON lines' shape as a table) or one segment a
row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.common.files import written_aside
from train.corpus.column_mapping import ColumnMapping, plain
from train.corpus.sources.rows import PAGE_COLUMNS, SEGMENT_COLUMNS, Row, check_columns, pages

_BATCH_ROWS = 256
_EXTRA = "extra"


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(row number from 1, page record)`, a batch at a time. Nulls of optional keys are left as None.

    Args:
        path: The table, one page or one segment a row.
        naming: Maps the corpus' columns and labels to ours.

    Raises:
        InputError: The file is no such table.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if "segments" in {naming.columns.get(name, name) for name in names}:
                yield from (
                    (number, naming.page(_unpacked(with_segments(record, naming)))) for number, record in records(file)
                )
            else:
                check_columns(names, path, naming)
                yield from pages(((number, Row(record)) for number, record in records(file)), path, naming)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise InputError(
            f"not readable as Parquet: {error}",
            expected="a whole Parquet file",
            remedy="write it again",
            path=path,
            rule="broken-parquet",
        ) from None


def records(file: Any) -> Iterator[tuple[int, Any]]:
    """Yields `(row number from 1, row)` of an open Parquet file, its values as JSON has them."""
    number = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        for record in batch.to_pylist():
            number += 1
            yield number, plain(record)


def write(path: Path, records: Iterable[dict[str, Any]]) -> int:
    """Writes page records as Parquet, whole or not at all; returns their number.

    Our own keys are columns; keys that came with the corpus are kept as JSON in a column `extra`, of pages and
    of segments, for they may differ from page to page. `rows` takes them out again.

    Args:
        path: The file.
        records: Page records, in order.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    iterator, count = iter(records), 0
    with written_aside(path) as aside, pq.ParquetWriter(aside, schema, compression="zstd") as writer:
        while batch := [_packed(record) for record in islice(iterator, _BATCH_ROWS)]:
            writer.write_table(pa.Table.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _schema() -> Any:
    import pyarrow as pa

    segment = [
        ("text", pa.string()),
        ("role", pa.string()),
        ("story", pa.int64()),
        ("topic", pa.string()),
        (_EXTRA, pa.string()),
    ]
    return pa.schema(
        [
            *((key, pa.string()) for key in PAGE_COLUMNS),
            (_EXTRA, pa.string()),
            ("segments", pa.list_(pa.struct(segment))),
        ]
    )


def _packed(record: dict[str, Any]) -> dict[str, Any]:
    page = {key: as_text(record.get(key)) for key in PAGE_COLUMNS}
    segments = []
    for s in record["segments"]:
        known = {key: as_text(s[key]) if key != "story" else s[key] for key in SEGMENT_COLUMNS if key in s}
        segments.append({**known, _EXTRA: _json({k: v for k, v in s.items() if k not in SEGMENT_COLUMNS})})
    return {
        **page,
        _EXTRA: _json({k: v for k, v in record.items() if k not in PAGE_COLUMNS and k != "segments"}),
        "segments": segments,
    }


def _unpacked(record: Any) -> Any:
    """A record with what `write` packed taken out again; a table that others wrote is left as it is."""
    if not isinstance(record, dict) or not isinstance(record.get("segments"), list):
        return record
    page = _without_extra(record)
    page["segments"] = [_without_extra(s) if isinstance(s, dict) else s for s in record["segments"]]
    return page


def with_segments(record: Any, naming: ColumnMapping) -> Any:
    """A row whose segments are a list of objects, also where the table holds an object of lists, as a `Sequence` of
    Hugging Face does.

    Args:
        record: The row, under its own columns.
        naming: Tells which column holds the segments.
    """
    if not isinstance(record, dict):
        return record
    key = next((key for key in record if naming.columns.get(key, key) == "segments"), None)
    held = record[key] if key is not None and isinstance(record[key], dict) else {}
    lists = list(held.values())
    if not lists or not all(isinstance(one, list) and len(one) == len(lists[0]) for one in lists):
        return record
    return {**record, key: [dict(zip(held, row, strict=True)) for row in zip(*lists, strict=True)]}


def _without_extra(record: dict[str, Any]) -> dict[str, Any]:
    packed = record.get(_EXTRA)
    if _EXTRA not in record or not (packed is None or isinstance(packed, str)):
        return dict(record)
    rest = {key: value for key, value in record.items() if key != _EXTRA}
    try:
        unpacked = json.loads(packed) if packed else {}
    except ValueError:
        return dict(record)
    return {**unpacked, **rest} if isinstance(unpacked, dict) else dict(record)


def _json(extra: dict[str, Any]) -> str | None:
    return json.dumps(extra) if extra else None


def as_text(value: Any) -> Any:
    """Text as Arrow takes it: halves of characters, which JSON may hold, are written out."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value

"""Source: Parquet, one page a row (`segments` a list of structs, the JSON lines' shape as a table) or one segment a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from train.corpus.naming import Naming
from train.corpus.sources.rows import Row, check_columns, pages
from train.errors import InputError
from train.files import written_aside

_BATCH_ROWS = 256


def rows(path: Path, naming: Naming) -> Iterator[tuple[int, Any]]:
    """Yields `(row number from 1, page record)`, a batch at a time. Nulls of optional keys are left as None."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if "segments" in {naming.columns.get(name, name) for name in names}:
                yield from ((number, naming.page(record)) for number, record in _records(file))
            else:
                check_columns(names, path, naming)
                yield from pages(((number, Row(record)) for number, record in _records(file)), path, naming)
    except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        raise InputError(
            f"not readable as Parquet: {error}", expected="a whole Parquet file", remedy="write it again", path=path, rule="broken-parquet"
        ) from None


def _records(file: Any) -> Iterator[tuple[int, Any]]:
    number = 0
    for batch in file.iter_batches(batch_size=_BATCH_ROWS):
        for record in batch.to_pylist():
            number += 1
            yield number, record


def write(path: Path, records: Iterable[dict[str, Any]]) -> int:
    """Writes records as Parquet, whole or not at all; returns their number. Segment columns are fixed by the first batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    iterator, count = iter(records), 0
    with written_aside(path) as aside:
        writer = None
        while batch := list(islice(iterator, _BATCH_ROWS)):
            table = pa.Table.from_pylist(batch, schema=writer.schema if writer else _schema(batch))
            writer = writer or pq.ParquetWriter(aside, table.schema, compression="zstd")
            writer.write_table(table)
            count += len(batch)
        if writer is None:
            pq.write_table(pa.Table.from_pylist([], schema=_schema([])), aside)
        else:
            writer.close()
    return count


def _schema(batch: list[dict[str, Any]]) -> Any:
    """Contract columns with their types, and whatever else the first batch holds."""
    import pyarrow as pa

    segment = pa.schema({"text": pa.string(), "role": pa.string(), "story": pa.int64(), "topic": pa.string()})
    found = pa.Table.from_pylist([s for record in batch for s in record["segments"]]).schema if batch else pa.schema({})
    segment_type = pa.struct([*segment, *(f for f in found if f.name not in segment.names and f.type != pa.null())])
    known = pa.schema({key: pa.string() for key in ("page_id", "site", "lang", "title", "url", "date")})
    rest = pa.Table.from_pylist([{k: v for k, v in r.items() if k != "segments"} for r in batch]).schema if batch else pa.schema({})
    return pa.schema(
        [*known, *(f for f in rest if f.name not in known.names and f.type != pa.null()), ("segments", pa.list_(segment_type))]
    )

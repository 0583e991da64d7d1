"""Source: a CSV table with one segment a row (tab-separated when the name says .tsv), plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.rows import Row, check_columns, pages


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(line of the page's first row, page record or InputError)`.

    Args:
        path: The table, one segment a row.
        naming: Maps the corpus' columns and labels to ours.
    """
    return pages(_cells(path, naming), path, naming)


def _cells(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Row]]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # Python's default of 128 KiB is shorter than real segments
    name = path.name.lower()
    delimiter = "\t" if ".tsv" in name else ","
    with gzip.open(path, "rb") if name.endswith(".gz") else path.open("rb") as raw:
        # NUL and bad bytes must not end the file: they are let through and their row is refused.
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        line = 1
        try:
            header = next(reader, [])
            check_columns(header, path, naming)
            line = reader.line_num + 1
            for cells in reader:
                if cells:
                    yield line, _row(header, cells, path, line)
                line = reader.line_num + 1
        except (gzip.BadGzipFile, zlib.error, EOFError, csv.Error) as error:
            raise InputError(
                f"the table breaks in the row that begins here and is read up to line {reader.line_num}: {error}",
                expected="a whole CSV table",
                remedy="close or double the quotes of this row, or write the table again",
                path=path,
                line=line,
                rule="broken-csv",
            ) from None


def _row(header: list[str], cells: list[str], path: Path, line: int) -> Row:
    by_column = dict(zip(header, cells, strict=False))
    if len(cells) != len(header):
        return Row(
            by_column,
            InputError(
                f"{len(cells)} cells",
                expected=f"{len(header)}, as in the header",
                remedy="quote cells that hold commas or line ends",
                path=path,
                line=line,
                rule="bad-row",
            ),
        )
    if any("\udc80" <= char <= "\udcff" for cell in cells for char in cell):
        return Row(
            by_column,
            InputError(
                "bytes that are not UTF-8",
                expected="UTF-8 text",
                remedy="save the table as UTF-8",
                path=path,
                line=line,
                rule="bad-encoding",
            ),
        )
    return Row(by_column)

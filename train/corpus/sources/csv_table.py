"""Source: a CSV table with one segment a row (tab-separated when the name says .tsv), plain or gzipped.

In a tab-separated table a quoted cell may hold tabs or line ends, not both: else its quote is a mark of the text, which
nobody closes, and each line is a row.
"""

from __future__ import annotations

import csv
import gzip
import re
import sys
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.encodings import bad_text, open_table
from train.corpus.sources.html_blocks import PassedOver
from train.corpus.sources.rows import Row, check_columns, pages

LONGEST_CELL = 1000
"""Lines, or tabs; a quote that is not closed by then is a mark of the text."""
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_LINE_END = re.compile(r"[\r\n]")


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(line of the page's first row, page record, InputError or PassedOver)`.

    Args:
        path: The table, one segment a row.
        naming: Maps the corpus' columns and labels to ours.
    """
    return pages(_cells(path, naming), path, naming)


def _cells(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Row | PassedOver]]:
    name = path.name.lower()
    header: list[str] | None = None
    line = 1
    with cast(BinaryIO, gzip.open(path, "rb") if name.endswith(".gz") else path.open("rb")) as raw:
        try:
            # NUL and bad bytes must not end the file: they are let through and their row is refused.
            text = open_table(raw)
            for line, cells in split_tabs(text) if ".tsv" in name else split_commas(text):
                if header is None:
                    header = cells
                    check_columns(header, path, naming)
                else:
                    yield line, _row(header, cells, path, line, text.encoding) if cells else PassedOver("blank line")
            if header is None:
                check_columns([], path, naming)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise _broken(str(error)).at(path, line) from None
        except InputError as error:
            raise error.at(path, error.line) from None


def split_commas(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields `(line it begins on, cells)` of each row of comma-separated values; a blank line has no cells.

    Args:
        lines: The table's lines.

    Raises:
        InputError: A quote is not closed, or text follows it.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # Python's default of 128 KiB is shorter than real segments
    reader = csv.reader(lines, strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise _broken(f"{error}, up to line {reader.line_num}").at(None, line) from None


def split_tabs(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yields `(line it begins on, cells)` of each row of tab-separated values; a blank line has no cells.

    Args:
        lines: The table's lines.
    """
    numbered = enumerate(lines, start=1)
    ahead: deque[tuple[int, str]] = deque()
    while (first := ahead.popleft() if ahead else next(numbered, None)) is not None:
        number, text = first
        cells, is_open = _tab_cells(text)
        whole = cells
        taken: list[tuple[int, str]] = []
        while is_open and len(taken) < LONGEST_CELL:
            following = ahead.popleft() if ahead else next(numbered, None)
            if following is None:
                break
            taken.append(following)
            text += following[1]
            whole, is_open = _tab_cells(text)
        if whole is None or is_open:
            ahead.extendleft(reversed(taken))
        else:
            cells = whole
        yield number, cells if cells and text.strip("\r\n") else []


def _tab_cells(text: str) -> tuple[list[str] | None, bool]:
    """The cells of a row, None when a line ends in a cell without quotes, and whether a quoted one goes on in the next
    line."""
    pieces = text.rstrip("\r\n").split("\t")
    cells: list[str] = []
    at = 0
    while at < len(pieces):
        piece, after = pieces[at], at + 1
        if piece.startswith('"'):
            while _QUOTED.fullmatch(piece) is None and after < min(len(pieces), at + LONGEST_CELL):
                piece += f"\t{pieces[after]}"
                after += 1
            if _QUOTED.fullmatch(piece) and not ("\t" in piece and _LINE_END.search(piece)):
                cells.append(piece[1:-1].replace('""', '"'))
                at = after
                continue
            if at + 1 == len(pieces) and piece.count('"') % 2:
                return [*cells, piece], True
        if _LINE_END.search(pieces[at]):
            return None, False
        cells.append(pieces[at])
        at += 1
    return cells, False


def _broken(what: str) -> InputError:
    return InputError(
        f"the table breaks in the row that begins here: {what}",
        expected="a whole CSV table",
        remedy="close or double the quotes of this row, or write the table again",
        rule="broken-csv",
    )


def _row(header: list[str], cells: list[str], path: Path, line: int, encoding: str) -> Row:
    by_column = dict(zip(header, cells, strict=False))

    def fault(rule: str, found: str, expected: str, remedy: str) -> Row:
        return Row(by_column, InputError(found, expected=expected, remedy=remedy, path=path, line=line, rule=rule))

    if len(cells) != len(header):
        return fault(
            "bad-row",
            f"{len(cells)} cells",
            f"{len(header)}, as in the header",
            "quote cells that hold commas or line ends",
        )
    for i, cell in enumerate(cells):
        if i and any(line.split(",")[:i] == cells[:i] for line in cell.split("\n")[1:]):
            return fault(
                "bad-row",
                "a quoted cell that holds the row after it",
                "a cell's quotes closed in its own row",
                "close or double the quote",
            )
    wrong = next(filter(None, (bad_text(cell, encoding) for cell in cells)), None)
    if wrong is not None:
        return fault("bad-encoding", wrong, "UTF-8 text", "save the table as UTF-8")
    return Row(by_column)

"""Reading a corpus: every line becomes a page or a counted refusal; nothing disappears."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.corpus.page import Page, parse_page
from train.corpus.sources import READERS, format_of, jsonl, parquet
from train.errors import InputError


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is not a page.

    Args:
        error: Why, with path, line and rule.
        record: The decoded record, or None when the line could not be decoded.
    """

    error: InputError
    record: Any


def scan(path: Path, *, labelled: bool) -> Iterator[tuple[int, Page | Refusal]]:
    """Streams a corpus file: `(line, page or refusal)` for every non-blank line, in order.

    Args:
        path: `.jsonl`, `.jsonl.gz` or `.parquet`.
        labelled: Whether roles and sites are required.

    Raises:
        InputError: The file is missing, a folder, of unknown format, or broken as a whole.
    """
    rows = READERS[format_of(path)]
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        raise InputError(what, expected="a corpus file", remedy="check the path (for the demo: `make corpus`)", path=path, rule="no-file")
    for line, record in rows(path):
        if isinstance(record, InputError):
            yield line, Refusal(record, None)
            continue
        try:
            yield line, parse_page(record, labelled=labelled)
        except InputError as e:
            placed = InputError(e.found, expected=e.expected, remedy=e.remedy, path=path, line=line, rule=e.rule)
            yield line, Refusal(placed, record)


def read_pages(path: Path, *, labelled: bool = True) -> list[Page]:
    """All pages of a corpus file.

    Raises:
        InputError: At the first line that is not a page, a page id that comes twice, or when there is no page at all.
    """
    pages: list[Page] = []
    first: dict[str, int] = {}
    for line, item in scan(path, labelled=labelled):
        if isinstance(item, Refusal):
            raise item.error
        if item.page_id in first:
            raise duplicate_page(item.page_id, first[item.page_id], path, line)
        first[item.page_id] = line
        pages.append(item)
    if not pages:
        raise InputError(
            "no page in it", expected="at least one page, one JSON object a line", remedy="check the export", path=path, rule="empty-corpus"
        )
    return pages


def duplicate_page(page_id: str, first: int, path: Path, line: int) -> InputError:
    """The refusal of a page id that was there before."""
    return InputError(
        f"page_id {page_id!r} was on line {first} already",
        expected="every page once",
        remedy="delete one, or give it an id of its own",
        path=path,
        line=line,
        rule="duplicate-page",
    )


def write_pages(path: Path, pages: Iterable[Page]) -> int:
    """Writes pages in the format the suffix names, whole or not at all; returns their number."""
    write = parquet.write if format_of(path) == ".parquet" else jsonl.write
    return write(path, (page.to_json() for page in pages))

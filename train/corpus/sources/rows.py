"""Tables with one segment a row: rows that follow each other and have the same page_id become one page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.html_blocks import PassedOver

PAGE_COLUMNS = ("page_id", "site", "lang", "title", "url", "date")
SEGMENT_COLUMNS = ("text", "role", "story", "topic")


def check_columns(columns: Iterable[str], path: Path, naming: ColumnMapping) -> None:
    """Refuses a table that lacks what a segment needs.

    Args:
        columns: The table's columns, under its names.
        path: The table, for the message.
        naming: Maps its columns to ours.

    Raises:
        InputError: A column is missing, or there twice.
    """
    present = list(columns)
    renamed = [naming.columns[column] for column in present if column in naming.columns]
    repeated = next((name for names in (present, renamed) for name in names if name and names.count(name) > 1), None)
    if repeated is not None:
        raise InputError(
            f"the column {repeated!r} twice",
            expected="every column once",
            remedy="rename or delete one of them",
            path=path,
            rule="repeated-column",
        )
    named = {naming.columns.get(column, column) for column in present}
    missing = [name for name in ("page_id", "text") if name not in named]
    if missing:
        raise InputError(
            f"no column {' and no column '.join(missing)}; there are {', '.join(present[:12]) or 'none'}",
            expected=f"the columns page_id and text, and of {', '.join((*PAGE_COLUMNS[1:], *SEGMENT_COLUMNS[1:]))} "
            "what there is",
            remedy='map yours, e.g. corpus.columns={url: page_id, content: text}, or COLUMNS="url=page_id '
            'content=text"',
            path=path,
            rule="no-column",
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Args:
        cells: Our column -> value.
        fault: What is wrong with the row; its page is refused, so its `page_id` must be right as far as it can be read.
    """

    cells: Mapping[str, Any]
    fault: InputError | None = None


def pages(rows: Iterable[tuple[int, Row | PassedOver]], path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Groups rows into page records; a page has the line of its first row. One page is in memory at a time.

    Args:
        rows: `(line, row)`; what is passed over is passed on.
        path: For messages.
        naming: Renames columns and roles.
    """
    seen: set[str] = set()
    line, page, fault = 0, None, None  # the page being gathered, and what is wrong with it
    for number, row in rows:
        if isinstance(row, PassedOver):
            yield number, row
            continue
        record = naming.record(row.cells)
        page_id = "" if record.get("page_id") is None else str(record["page_id"])
        if page is None or page_id != page["page_id"]:
            if page is not None:
                yield line, fault.about(page) if fault else page
            line, fault = number, None
            page = naming.with_site(
                {"page_id": page_id, **{key: _text(record.get(key)) for key in PAGE_COLUMNS[1:]}, "segments": []}
            )
            if page_id in seen:
                fault = InputError(
                    f"page {page_id!r} begins again",
                    expected="the rows of a page one after the other",
                    remedy="sort the table by page; what stood above was read as the whole of it",
                    path=path,
                    line=number,
                    rule="split-page",
                )
            seen.add(page_id)
        fault = fault or row.fault or _page_fault(page, record, path, number)
        page["segments"].append(_segment(record, naming))
    if page is not None:
        yield line, fault.about(page) if fault else page


def _page_fault(page: Mapping[str, Any], record: Mapping[str, Any], path: Path, line: int) -> InputError | None:
    for key in PAGE_COLUMNS[1:]:
        value = _text(record.get(key))
        if value is not None and page[key] is not None and value != page[key]:
            return InputError(
                f"page {page['page_id']!r} has {key} {page[key]!r} and now {value!r}",
                expected="one value a page",
                remedy="correct the row",
                path=path,
                line=line,
                rule="page-mismatch",
            )
    return None


def _segment(record: Mapping[str, Any], naming: ColumnMapping) -> dict[str, Any]:
    segment: dict[str, Any] = {"text": record.get("text"), "topic": _text(record.get("topic"))}
    if segment["text"] is None:
        segment["text"] = ""  # an empty cell is an empty segment, which `check` reports
    if _text(record.get("role")) is not None:
        segment["role"] = naming.role(record["role"])
    segment["story"] = record.get("story")
    known = {*PAGE_COLUMNS, *SEGMENT_COLUMNS}
    return segment | {key: value for key, value in record.items() if key not in known and value not in (None, "")}


def _text(value: Any) -> Any:
    return None if value in (None, "") else value

"""Source: our JSON lines, plain or gzipped."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from train.common.errors import InputError
from train.common.files import written_aside
from train.corpus.column_mapping import ColumnMapping, plain
from train.corpus.sources.html_blocks import PassedOver


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(line number, decoded value, InputError or PassedOver)`.

    Args:
        path: The JSON lines file, plain or gzipped.
        naming: Maps the corpus' columns and labels to ours.
    """
    read = lines(path, blanks=True)
    return ((line, naming.page(record) if isinstance(record, dict) else record) for line, record in read)


def lines(path: Path, *, blanks: bool = False) -> Iterator[tuple[int, Any]]:
    """Yields `(line number, decoded value, InputError or PassedOver)` of any JSON lines, plain or gzipped.

    Args:
        path: The file.
        blanks: Whether a blank line is yielded too, as passed over.

    Raises:
        InputError: The gzip file is broken.
    """
    with cast(BinaryIO, gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")) as file:
        line = 0
        try:
            for line, raw in enumerate(file, start=1):
                if raw.strip():
                    yield line, _decode(raw, path, line)
                elif blanks:
                    yield line, PassedOver("blank line")
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise InputError(
                f"the gzip stream breaks after line {line}: {error}",
                expected="a whole gzip file",
                remedy="copy or compress the file again",
                path=path,
                rule="broken-gzip",
            ) from None


def _decode(raw: bytes, path: Path, line: int) -> Any:
    def refuse(rule: str, found: str, remedy: str) -> InputError:
        return InputError(
            found, expected="one UTF-8 JSON object a line", remedy=remedy, path=path, line=line, rule=rule
        )

    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        return json.loads(text, parse_constant=_no_constant, parse_float=_number)
    except UnicodeDecodeError as error:
        return refuse(
            "bad-encoding", f"bytes that are not UTF-8: {error.reason} at byte {error.start}", "save the file as UTF-8"
        )
    except (ValueError, RecursionError) as error:
        return refuse(
            "bad-json", f"not JSON: {error}", "mend or delete the line, or run `make check` to set bad pages aside"
        )


def converted(record: Any, convert: Callable[[Mapping[str, Any]], dict[str, Any]], path: Path, line: int) -> Any:
    """Converts a line's object, or places the error in the file; an InputError in its place is passed on.

    Args:
        record: The decoded line, as `lines` yields it.
        convert: Makes a page record from an object.
        path: The file, for the error.
        line: The line's number, from 1.
    """
    if isinstance(record, InputError | PassedOver):
        return record
    if not isinstance(record, dict):
        return InputError(
            f"a JSON {type(record).__name__}",
            expected="one JSON object a line",
            remedy="export again",
            path=path,
            line=line,
            rule="not-an-object",
        )
    try:
        return convert(record)
    except InputError as error:
        return error.at(path, line).about(record)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _number(digits: str) -> float | str:
    """A number; one that no computer holds stays the text it is, so that it can be written again."""
    number = float(digits)
    return digits if math.isinf(number) else number


def line_of(record: Any, separators: tuple[str, str] = (",", ":")) -> bytes:
    """A record as a line of JSON. NaN and Infinity, which JSON has not, become null.

    Args:
        record: The record.
        separators: What stands between items, and between a key and its value.
    """
    try:
        text = json.dumps(record, ensure_ascii=False, separators=separators, allow_nan=False)
    except (ValueError, TypeError):
        text = json.dumps(plain(record), ensure_ascii=False, separators=separators)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def write(path: Path, records: Iterable[dict[str, Any]]) -> int:
    """Writes records as JSON lines, gzipped when the name ends in .gz, whole or not at all; returns their number.

    The bytes depend on the records alone (no time stamp in the gzip header), so the file's sha256 names its content.

    Args:
        path: The file; gzipped when its name ends in .gz.
        records: The records, in order.
    """
    count = 0
    with written_aside(path) as aside, aside.open("wb") as plain:
        packed = path.name.lower().endswith(".gz")
        file = (
            cast(BinaryIO, gzip.GzipFile(filename="", fileobj=plain, mode="wb", mtime=0, compresslevel=6))
            if packed
            else plain
        )
        for record in records:
            file.write(line_of(record))
            count += 1
        if packed:
            file.close()
    return count

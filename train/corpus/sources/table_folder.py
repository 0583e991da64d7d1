"""A folder of table files, as the Hub and its cache hold data sets: which files are a split, and their rows.

Each file is read with the types of its own: a shard whose dates are all null must not decide what those of the next
are.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from train.common.console import console
from train.common.errors import InputError
from train.common.files import sha256_files
from train.corpus.column_mapping import plain
from train.corpus.sources import jsonl, parquet

KINDS = {".parquet": "parquet", ".arrow": "arrow", ".json": "json", ".jsonl": "json", ".ndjson": "json"} | {
    ".csv": "csv",
    ".tsv": "tsv",
}
_PACKED = {name + ".gz": kind for name, kind in KINDS.items() if kind in ("json", "csv", "tsv")}
_ABOUT = re.compile(
    r"readme|licen[cs]e|notice|citation|changelog|dataset_infos?\.json|dataset_dict\.json", re.IGNORECASE
)
"""Files about a data set, which hold none of its rows."""
_SPLIT = re.compile(r"(train|test|valid|val|dev|eval|held.?out)(ing|ation|uation|elopment)?(?![a-z])", re.IGNORECASE)
"""What names of splits begin with; other names of files are no splits."""
_SHARD = re.compile(r"[-_. ]\d+([-_ ]of[-_ ]\d+)?([-_][0-9a-f]{8,})?$")
_PARTS = re.compile(r"(part|data|shard)?[-_. ]?\d+.*")
"""Files that are called by their number, in a folder that is called by the split."""

_LINK, _LINK_SIZE = re.compile(rb"\s*(\.\./)+[^\s{}\[\]\",]+\s*"), 4096
"""What a link says where a copy has made it a file of its own, as git does without `core.symlinks`."""


class TableFolder:
    """The table files of a folder that are a split, read one after the other.

    Args:
        folder: The folder.
        split: The split, or None where there is one.
        path: The corpus as it was named, for messages.

    Raises:
        InputError: There is no such split, or several and none is named; the files are of several kinds, or lie
            elsewhere.
    """

    features = None

    def __init__(self, folder: Path, split: str | None, path: Path) -> None:
        tables, other = table_files(folder, path)
        splits = sorted({split_of(file, folder) for file in tables})
        if split is None and len(splits) > 1 and any(_SPLIT.match(name) for name in splits):
            raise _refuse(
                f"the splits {', '.join(splits[:8])}, and none named",
                "the name of one: training and test pages together would be one corpus",
                f"name it: dataset:{path}#{min(splits, key=lambda name: not name.startswith('train'))}",
                path,
                "no-split",
            )
        self.files = [file for file in tables if split is None or split in (split_of(file, folder), _stem(file))]
        if tables and not self.files:
            names = ", ".join(dict.fromkeys((*splits, *(file.name for file in tables))))
            raise _refuse(
                f"no file of the split {split!r}; there are {names[:200]}",
                "one file or more of the split",
                "name another split, or none",
                path,
                "no-split",
            )
        kinds = {_kind(file) for file in self.files}
        if len(kinds) != 1:
            what = f"files of {len(kinds)} kinds ({', '.join(sorted(map(str, kinds)))})" if kinds else "no table file"
            named = f"; there are {', '.join(file.name for file in (self.files or other)[:8]) or 'none'}"
            raise _refuse(what + named, f"files of one kind: {', '.join(KINDS)}", "keep one kind", path, "no-table")
        shards = [file.name for file in other if any(name in file.name.lower() for name in KINDS)]
        if shards:
            raise _refuse(
                f"tables that are not read: {', '.join(shards[:8])}",
                f"{', '.join(KINDS)}, of text also with .gz",
                "unpack them",
                path,
                "no-table",
            )
        if other:
            console.print(
                f"{path}: {len(other)} files that are no tables are passed over, first {other[0].name}",
                style="yellow",
                markup=False,
                soft_wrap=True,
            )

    @property
    def column_names(self) -> list[str]:
        """The columns of the first row."""
        return list(next((row for _, row in self.rows() if isinstance(row, Mapping)), {}))

    def rows(self) -> Iterator[tuple[int, Any]]:
        """Yields `(row number from 1, row or InputError)`, numbered over all files."""
        number = 0
        for file in self.files:
            for row in _READERS[str(_kind(file))](file):
                number += 1
                yield number, row

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for _, row in self.rows():
            if isinstance(row, InputError):
                raise row
            yield row


def table_files(folder: Path, path: Path) -> tuple[list[Path], list[Path]]:
    """The table files of a folder, and the other files that are not about it; hidden ones are left out.

    Links are followed where they stay in the folder, or lead from a snapshot of the Hub's cache to its blobs.

    Args:
        folder: The folder, with all below it.
        path: The corpus as it was named, for messages.

    Raises:
        InputError: A link leads elsewhere, or to nothing.
    """
    root = folder.resolve()
    homes = [root, *(at.parent.parent / "blobs" for at in (root, *root.parents) if at.parent.name == "snapshots")]
    files = []
    for file in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        inside = any(file.resolve().is_relative_to(home) for home in homes)
        if file.is_symlink() and not (inside and file.is_file()):
            raise _refuse(
                f"{file.relative_to(folder)} is a link "
                + ("out of the folder" if not inside else "to a folder" if file.is_dir() else "to nothing"),
                "files inside the folder, or a whole snapshot of the Hub's cache",
                "copy it there, or delete it",
                path,
                "outside-folder",
            )
        if file.is_file() and file.stat().st_size < _LINK_SIZE and _LINK.fullmatch(file.read_bytes()):
            raise _refuse(
                f"{file.relative_to(folder)} holds the path of another file: a link, copied as text",
                "the files that the Hub's cache links to",
                "copy the snapshot with what its links lead to (cp -rL)",
                path,
                "no-table",
            )
        if file.is_file() and not _ABOUT.match(file.name):
            files.append(file)
    return [file for file in files if _kind(file)], [file for file in files if not _kind(file)]


def digest(folder: Path, path: Path) -> str:
    """The sha256 that names a folder's content, over its files' names and bytes, those of links too.

    Args:
        folder: The folder, with all below it.
        path: The corpus as it was named, for messages.
    """
    return sha256_files((file for files in table_files(folder, path) for file in files), folder)


def split_of(file: Path, folder: Path) -> str:
    """The split that a file is of: as its folder is called where that is a split's name or the file has but a number,
    else as the file is called, without the number of a shard.

    Args:
        file: The file.
        folder: The folder of the data set, above it.
    """
    above = [part for part in file.relative_to(folder).parts[:-1]]
    named = next((part for part in above if _SPLIT.match(part)), None)
    if named is None and above and _PARTS.fullmatch(_stem(file)):
        named = above[-1]
    return named or _SHARD.sub("", _stem(file))


def _stem(file: Path) -> str:
    return re.sub(r"(\.\w{2,7}?)(\.gz)?$", "", file.name)


def _kind(file: Path) -> str | None:
    return next((kind for end, kind in (KINDS | _PACKED).items() if file.name.lower().endswith(end)), None)


def _json(file: Path) -> Iterator[Any]:
    """JSON lines, or one array of objects."""
    import ijson

    with cast(BinaryIO, gzip.open(file, "rb") if file.name.lower().endswith(".gz") else file.open("rb")) as raw:
        if raw.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"[":
            yield from (row for _, row in jsonl.lines(file))
            return
        raw.seek(0)
        try:
            yield from ijson.items(raw, "item", use_float=True)
        except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
            raise _refuse(f"not JSON: {error}", "an array of objects", "write it again", file, "broken-json") from None


def _parquet(file: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(file) as table:
        yield from _named((record for _, record in parquet.records(table)), table.schema_arrow)


def _arrow(file: Path) -> Iterator[Any]:
    import pyarrow as pa

    with pa.memory_map(str(file)) as source:
        try:
            stream = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            whole = pa.ipc.open_file(source)
            stream = (whole.get_batch(i) for i in range(whole.num_record_batches))
            yield from _named((plain(row) for batch in stream for row in batch.to_pylist()), whole.schema)
        else:
            yield from _named((plain(row) for batch in stream for row in batch.to_pylist()), stream.schema)


def _named(rows: Iterator[Any], schema: Any) -> Iterator[Any]:
    from datasets import Features

    features = Features.from_arrow_schema(schema)
    return (names_for_numbers(row, features) for row in rows)


def _csv(file: Path) -> Iterator[Any]:
    """The rows of a CSV table, all cells as text; an empty cell has no value."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # Python's default of 128 KiB is shorter than real segments
    packed = file.name.lower().endswith(".gz")
    with cast(BinaryIO, gzip.open(file, "rb") if packed else file.open("rb")) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, delimiter="\t" if _kind(file) == "tsv" else ",", strict=True)
        header = next(reader, [])
        for cells in reader:
            if len(cells) == len(header):
                yield {name: cell or None for name, cell in zip(header, cells, strict=True)}
            elif cells:
                fault = f"{len(cells)} cells, where the header has {len(header)}"
                yield _refuse(fault, "as many", "quote cells that hold commas or line ends", file, "bad-row")


_READERS = {"json": _json, "parquet": _parquet, "arrow": _arrow, "csv": _csv, "tsv": _csv}


def names_for_numbers(row: Mapping[str, Any], features: Any) -> dict[str, Any]:
    """A row with class numbers replaced by their names, wherever they are nested.

    Args:
        row: The row, column -> value.
        features: The data set's `Features`, whose `ClassLabel` columns hold the names; None leaves numbers as they are.
    """
    return {key: plain(_name(value, (features or {}).get(key))) for key, value in row.items()}


def _name(value: Any, feature: Any) -> Any:
    names = getattr(feature, "names", None)
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    if isinstance(value, Mapping) and isinstance(feature, Mapping):
        return {key: _name(inner, feature.get(key)) for key, inner in value.items()}
    inner = getattr(feature, "feature", feature[0] if isinstance(feature, list) and feature else None)
    if isinstance(value, Sequence) and not isinstance(value, str) and inner is not None:
        return [_name(item, inner) for item in value]
    return value


def _refuse(found: str, expected: str, remedy: str, path: Path, rule: str) -> InputError:
    return InputError(found, expected=expected, remedy=remedy, path=path, rule=rule)

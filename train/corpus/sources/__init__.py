"""Where pages come from: one file a source, one small interface.

A source turns a path into `(line, record)` pairs, lazily; `line` is 1-based (the row for tables) and `record` a decoded
JSON value, or an InputError when that line cannot be decoded. Parsing and refusing is the reader's (`train.corpus.read`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from train.corpus.sources import jsonl, parquet
from train.errors import InputError

Rows = Iterator[tuple[int, Any]]

READERS: dict[str, Callable[[Path], Rows]] = {
    ".jsonl": jsonl.rows,
    ".jsonl.gz": jsonl.rows,
    ".parquet": parquet.rows,
}


def format_of(path: Path) -> str:
    """The file's format by its suffix.

    Raises:
        InputError: No reader knows the suffix.
    """
    for suffix in READERS:
        if path.name.lower().endswith(suffix):
            return suffix
    raise InputError(
        f"a file named {path.name!r}", expected=f"a corpus ending in {', '.join(READERS)}", remedy="convert or rename it", path=path
    )

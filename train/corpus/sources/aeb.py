"""Source: scrapinghub's article-extraction-benchmark: `html/ID.html.gz` and `ground-truth.json` (`{ID: {"articleBody",
"url"}}`).

Blocks inside the gold body are main; headline and related items, which the benchmark does not label, are told by
markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.align import Document, Make, as_it_is
from train.corpus.sources.html_blocks import read_within


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)`, in the order of the ground truth; it is never whole in
    memory.

    Args:
        path: The folder that holds `html/` and `ground-truth.json`.
        naming: Maps the corpus' columns and labels to ours.
    """
    return _read(path, lambda document: document.record(naming))


def documents(path: Path) -> Iterator[tuple[int, Any]]:
    """As `rows`, the HTML and the gold text themselves: `(number from 1, Document or InputError)`."""
    return _read(path, as_it_is)


def _read(path: Path, make: Make) -> Iterator[tuple[int, Any]]:
    import ijson

    truth, number = path / "ground-truth.json", 0
    read_within(truth, path)  # refuses a link that leads out
    try:
        with truth.open("rb") as file:
            for number, (page_id, gold) in enumerate(ijson.kvitems(file, "", use_float=True), start=1):
                try:
                    yield number, make(_document(path, page_id, gold))
                except InputError as error:
                    yield number, error.at(truth, number)
    except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"not JSON after page {number}: {error}",
            expected="one object, a page a key",
            remedy="copy it again",
            path=truth,
            rule="broken-json",
        ) from None


def _document(path: Path, page_id: str, gold: Any) -> Document:
    body = gold.get("articleBody") if isinstance(gold, dict) else None
    if not isinstance(body, str):
        raise InputError(
            f"page {page_id!r} has no articleBody",
            expected='{"articleBody": …, "url": …}',
            remedy="complete it",
            rule="no-gold",
        )
    if "/" in page_id or "\\" in page_id or "\x00" in page_id or page_id in ("", ".", ".."):
        raise InputError(
            f"the id {page_id!r}", expected="a file's name", remedy="rename it: ids name files", rule="outside-folder"
        )
    packed = path / "html" / f"{page_id}.html.gz"
    try:
        content = read_within(packed, path)
    except InputError as error:
        if error.rule != "no-file":
            raise
        content = read_within(packed.with_suffix(""), path)
    url = gold.get("url")
    return Document(page_id, content, body, url if isinstance(url, str) else None)

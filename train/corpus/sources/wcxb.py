"""Source: WCXB, the Web Content eXtraction Benchmark (Foley 2026, CC-BY-4.0): `SPLIT/html/ID.html.gz` and
`SPLIT/ground-truth/ID.json`.

Its pages of the type article are read. Blocks inside the gold text are main; headline and related items, which the
benchmark does not label, are told by markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.align import Document, Make, as_it_is
from train.corpus.sources.html_blocks import files, read_within
from train.corpus.sources.html_folder import numbered

TYPE = "article"


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)` of the articles, in the order of the files' names.

    Args:
        path: The folder that the repository unpacks to.
        naming: Maps the corpus' columns and labels to ours.
    """
    return _read(path, lambda document: document.record(naming))


def documents(path: Path) -> Iterator[tuple[int, Any]]:
    """As `rows`, the HTML and the gold text themselves: `(number from 1, Document or InputError)`."""
    return _read(path, as_it_is)


def _read(path: Path, make: Make) -> Iterator[tuple[int, Any]]:
    def convert(file: Path) -> Any:
        gold = _gold(file, path)
        if gold["type"] != TYPE:
            return None
        truth, url = gold["ground_truth"], gold.get("url")
        title = truth.get("title")
        document = Document(
            f"wcxb-{file.parent.parent.name}-{file.stem}",
            read_within(file.parent.parent / "html" / f"{file.stem}.html.gz", path),
            truth["main_content"],
            url if isinstance(url, str) else None,
            (title,) if isinstance(title, str) else (),
        )
        return make(document)

    truths = [file for file in files(path, (".json",)) if file.parent.name == "ground-truth"]
    if not truths:
        raise InputError(
            "no ground truth",
            expected="SPLIT/ground-truth/ID.json",
            remedy="name the folder that the repository unpacks to",
            path=path,
            rule="no-file",
        )
    return ((number, made) for number, made in numbered(truths, convert) if made is not None)


def _gold(file: Path, path: Path) -> dict[str, Any]:
    try:
        gold = json.loads(read_within(file, path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"not JSON: {error}"[:200], expected="one object", remedy="copy it again", rule="broken-json"
        ) from None
    truth = gold.get("ground_truth") if isinstance(gold, dict) else None
    if not isinstance(truth, dict) or not isinstance(truth.get("main_content"), str):
        raise InputError(
            "no main_content", expected='{"ground_truth": {"main_content": …}}', remedy="complete it", rule="no-gold"
        )
    try:
        return {**gold, "type": gold["_internal"]["page_type"]["primary"]}
    except (KeyError, TypeError):
        raise InputError(
            "no page type",
            expected='{"_internal": {"page_type": {"primary": "article"}}}',
            remedy="complete it",
            rule="no-type",
        ) from None

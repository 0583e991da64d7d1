"""Source: the test pages of fundus (flairNLP): `COUNTRY/PUBLISHER_DATE.html.gz` with `COUNTRY/PUBLISHER.json`, and the
pages' addresses in `COUNTRY/meta.info`.

The gold is what hand-written rules of each publisher are expected to find: the summary, the sections' headlines and
paragraphs, and the title. A publisher whose page changed has a page and an entry a version of its rules (`V1`, `V1_1`,
`V2`), both in order of time. Related items are told by markup. A page that does not show its gold (a body that scripts
load, or that is hidden) is refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.align import Document, Make, as_it_is
from train.corpus.sources.html_blocks import files, read_within
from train.corpus.sources.html_folder import numbered
from train.corpus.sources.markup import words_of

SHOWN = 0.85
"""Such a share of the gold's words must be in the main blocks of a page."""
_NAME = re.compile(r"\A(.+?)_\d{4}_\d{2}_\d{2}\.html\.gz")


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)`, in the order of the files' names.

    Args:
        path: The folder that holds a folder a country (`tests/resources/parser/test_data`).
        naming: Maps the corpus' columns and labels to ours.
    """

    def record(document: Document) -> dict[str, Any]:
        made = document.record(naming)
        gold = Counter(words_of(document.gold))
        main = Counter(word for s in made["segments"] if s["role"] == "main" for word in words_of(s["text"]))
        shown = (gold & main).total() / gold.total()
        if shown < SHOWN:
            raise InputError(
                f"the page shows {shown:.0%} of its gold",
                expected=f"{SHOWN:.0%} or more",
                remedy="leave the page out",
                rule="gold-not-shown",
            )
        return made

    return _read(path, record)


def documents(path: Path) -> Iterator[tuple[int, Any]]:
    """As `rows`, the HTML and the gold text themselves: `(number from 1, Document or InputError)`."""
    return _read(path, as_it_is)


def _read(path: Path, make: Make) -> Iterator[tuple[int, Any]]:
    return numbered(files(path, (".html.gz",)), lambda file: make(_document(file, path)))


def _document(file: Path, path: Path) -> Document:
    named = _NAME.fullmatch(file.name)
    if named is None:
        raise _no_gold(f"a page named {file.name!r}", "PUBLISHER_YYYY_MM_DD.html.gz")
    publisher, country = named[1], file.parent
    versions = _object(country / f"{publisher}.json", path)
    pages = sorted(
        page.name
        for page in country.glob("*.html.gz")
        if (other := _NAME.fullmatch(page.name)) and other[1] == publisher
    )
    if len(versions) != len(pages):
        raise _no_gold(f"{len(versions)} versions of rules, {len(pages)} pages", "a page a version")
    gold = versions[sorted(versions, key=_order)[pages.index(file.name)]]
    text, title, date = _text(gold), gold.get("title"), gold.get("publishing_date")
    about = _object(country / "meta.info", path).get(file.name) if (country / "meta.info").exists() else None
    url = about.get("url") if isinstance(about, dict) else None
    return Document(
        f"fundus-{country.name}-{file.name.removesuffix('.html.gz')}",
        read_within(file, path),
        text,
        url if isinstance(url, str) else None,
        (title,) if isinstance(title, str) else (),
        date[:10] if isinstance(date, str) else None,
    )


def _text(gold: Any) -> str:
    """The story's text, a paragraph a line."""
    try:
        body = gold["body"]
        lines = [
            *body["summary"],
            *(line for part in body["sections"] for line in part["headline"] + part["paragraphs"]),
        ]
        text = "\n".join(lines)
    except (KeyError, TypeError):
        raise _no_gold(
            "no body", '{"body": {"summary": […], "sections": [{"headline": […], "paragraphs": […]}]}}'
        ) from None
    if not words_of(text):
        raise _no_gold("a body without words", "the story's text")
    return text


def _order(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


def _object(file: Path, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(read_within(file, path))
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{file.name}: not JSON: {error}"[:200], expected="one object", remedy="copy it again", rule="broken-json"
        ) from None
    if not isinstance(value, dict):
        raise _no_gold(f"{file.name}: a JSON {type(value).__name__}", "one object")
    return value


def _no_gold(found: str, expected: str) -> InputError:
    return InputError(found, expected=expected, remedy="complete it, or leave the page out", rule="no-gold")

"""Source: a folder of HTML files without labels, to be labelled by a model or by people.

The site is taken from the page's own address (canonical link, og:url), else from the folder a file is in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.html_blocks import Html, files, read_html, read_within

SUFFIXES = (".html", ".htm", ".xhtml", ".html.gz", ".htm.gz")


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)`, in the order of the files' names.

    Args:
        path: The folder of HTML files.
        naming: Maps the corpus' columns and labels to ours.
    """

    def convert(file: Path) -> dict[str, Any]:
        page = read_html(read_within(file, path))
        record = file_record(file.relative_to(path), page, naming)
        record["segments"] = [{"text": block.text} for block in page.blocks]
        return record

    return numbered(files(path, SUFFIXES), convert)


def page_record(page_id: str, page: Html, url: str | None) -> dict[str, Any]:
    """The record of a page, without its segments and site.

    Args:
        page_id: The page's id.
        page: The page, as `read_html` returns it.
        url: Its address, or None.
    """
    return {"page_id": page_id, "site": "", "lang": page.lang, "title": page.title, "url": url, "date": None}


def file_record(inner: Path, page: Html, naming: ColumnMapping) -> dict[str, Any]:
    """The record of a page from a file, without its segments: its site is taken from its address, else from the folder
    the file is in.

    Args:
        inner: The file's path below the data set's folder.
        page: The page, as `read_html` returns it.
        naming: Names its site.
    """
    record = naming.with_site(page_record(stem(inner), page, page.url))
    record["site"] = record["site"] or (inner.parts[0] if len(inner.parts) > 1 else "")
    return record


def stem(file: Path) -> str:
    """A file's name without its suffixes, with its folders."""
    name = file.as_posix()
    return next(
        (name[: -len(suffix)] for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix)),
        name,
    )


def numbered(paths: Iterable[Path], convert: Callable[[Path], dict[str, Any] | None]) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, result or InputError)` of files, errors with the file's name; a file without a result
    counts and is yielded all the same.

    Args:
        paths: The files, in order.
        convert: Makes a page's record from a file.
    """
    for number, file in enumerate(paths, start=1):
        try:
            yield number, convert(file)
        except InputError as error:
            yield number, error.at(file, None)

"""Source: a folder of HTML files without labels, to be labelled by a model or by people.

The site is taken from the page's own address (canonical link, og:url), else from the folder a file is in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.encodings import decode
from train.corpus.sources.html_blocks import Html, PassedOver, files, read_html, read_within

SUFFIXES = (".html", ".htm", ".xhtml", ".shtml", ".html.gz", ".htm.gz")
_STARTS_AS_HTML = re.compile(
    r"\A\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|(?:html|head|body|title|meta|link|base|script|style|"
    r"iframe|noscript|h[1-6]|div|span|p|a|b|br|font|table|ul|ol|main|article|section|header|nav|form)(?=[\s/>]))",
    re.IGNORECASE | re.DOTALL,
)


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record, InputError or PassedOver)`, in the order of the files' names.

    Args:
        path: The folder of HTML files.
        naming: Maps the corpus' columns and labels to ours.
    """

    def convert(file: Path, content: bytes) -> dict[str, Any]:
        page = read_html(content)
        record = file_record(file.relative_to(path), page, naming)
        record["segments"] = [{"text": block.text} for block in page.blocks]
        return record

    return html_pages(path, convert)


def html_pages(path: Path, convert: Callable[[Path, bytes], dict[str, Any]]) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record, InputError or PassedOver)` for every file of a folder. A file is a page by
    its name, else by what it begins with, as crawlers name pages by their addresses.

    Args:
        path: The folder.
        convert: Makes a page's record from a file and its bytes.
    """

    def read(file: Path) -> dict[str, Any] | PassedOver:
        name = file.name.lower()
        if name.startswith("."):
            return PassedOver("hidden file")
        content = read_within(file, path)
        if not name.endswith(SUFFIXES) and not _STARTS_AS_HTML.match(decode(content[:4096])):
            return PassedOver(f"{file.suffix.lower()[:12]} file" if file.suffix else "file that is not HTML")
        return convert(file, content)

    return numbered(files(path, ("",), hidden=True), read)


def page_record(page_id: str, page: Html, url: str | None) -> dict[str, Any]:
    """The record of a page, without its segments and site.

    Args:
        page_id: The page's id.
        page: The page, as `read_html` returns it.
        url: Its address, or None.
    """
    known = {"page_id": page_id, "site": "", "lang": page.lang, "title": page.title, "url": url, "date": None}
    return known | {"unseen_chars": page.unseen}


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


def numbered(
    paths: Iterable[Path], convert: Callable[[Path], dict[str, Any] | PassedOver | None]
) -> Iterator[tuple[int, Any]]:
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

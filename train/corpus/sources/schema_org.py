"""Source: a folder of HTML files that label themselves: schema.org says which text is the article's, markup tells the
rest.

The main story is the `articleBody` of the page's JSON-LD, else the element with `itemprop="articleBody"`, without what
is set apart in it (figures, asides, forms, items of other stories). Such labels are weak: they teach
(`corpus.auxiliary`), they do not test. A page that does not say is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.align import aligned
from train.corpus.sources.html_blocks import cut, files, parse, read_html, read_within
from train.corpus.sources.html_folder import SUFFIXES, file_record, numbered
from train.corpus.sources.markup import Markup

LEAST_WORDS = 60
"""A shorter body is a summary, or the paragraph before a paywall."""


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)`, in the order of the files' names.

    Args:
        path: The folder of HTML files.
        naming: Maps the corpus' columns and labels to ours.
    """

    def convert(file: Path) -> dict[str, Any]:
        root = parse(read_within(file, path))
        markup = Markup()
        page = cut(root, markup.mark)
        articles = [] if root is None else _embedded_articles(root)
        body = max((body for _, body in articles), key=len, default="") or "\n".join(markup.article_body(page.blocks))
        if len(body.split()) < LEAST_WORDS:
            raise InputError(
                f"an articleBody of {len(body.split())} words" if body else "no articleBody",
                expected=f"schema.org's articleBody, of {LEAST_WORDS} words or more, as JSON-LD or itemprop",
                remedy="leave the page out, or label it",
                rule="no-gold",
            )
        record = file_record(file.relative_to(path), page, naming)
        record["segments"] = aligned(page, markup, body, titles=[title for title, _ in articles if title], url=page.url)
        return record

    return numbered(files(path, SUFFIXES), convert)


def _embedded_articles(root: Any) -> list[tuple[str, str]]:
    """Headlines and bodies in a page's JSON-LD."""
    articles: list[tuple[str, str]] = []
    for script in root.iter("script"):
        if "ld+json" in (script.get("type") or "").lower():
            try:
                articles += _articles(json.loads(script.text or "", strict=False))
            except (ValueError, RecursionError):
                continue  # a page may hold several, and broken ones
    return articles


def _articles(value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        body, headline = value.get("articleBody"), value.get("headline")
        if isinstance(body, str):
            yield headline if isinstance(headline, str) else "", _plain(body)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _articles(inner)


def _plain(body: str) -> str:
    """The text of a body that holds HTML, a block a line."""
    if "<" not in body and "&" not in body:
        return body
    return "\n".join(
        block.text for block in read_html(f"<meta charset=utf-8><body>{body}".encode("utf-8", "replace")).blocks
    )

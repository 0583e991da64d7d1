"""Source: a folder of HTML files that label themselves: schema.org says which text is the article's, markup tells the
rest.

The main story is the `articleBody` of the page's JSON-LD that stands on the page, else the element with
`itemprop="articleBody"`, without what is set apart in it (figures, asides, forms, items of other stories). Such labels
are weak: they teach (`corpus.auxiliary`), they do not test. A page that does not say, or says a part, is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.align import aligned, main_blocks
from train.corpus.sources.html_blocks import Html, cut, parse, read_html
from train.corpus.sources.html_folder import file_record, html_pages
from train.corpus.sources.html_tree import Element
from train.corpus.sources.markup import Markup, words_of

LEAST_WORDS = 60
"""A shorter body is a summary, or the paragraph before a paywall."""
ON_PAGE = 0.5
"""Such a share of a body's words stands on its page; else it is another page's."""
CUT_WORDS, CUT_SHARE = 40, 0.2
"""A body is cut when so many words of running text follow it in the same element, and such a share of its own."""
_WRAPPED = re.compile(r"\A(?:\s|//|/\*|<!--|<!\[CDATA\[|\*/)+|(?:\s|//|/\*|-->|\]\]>|\*/|;)+\Z")
"""What pages put around JSON-LD for the sake of XHTML and of old browsers."""


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record, InputError or PassedOver)`, in the order of the files' names.

    Args:
        path: The folder of HTML files.
        naming: Maps the corpus' columns and labels to ours.
    """

    def convert(file: Path, content: bytes) -> dict[str, Any]:
        root = parse(content)
        markup = Markup()
        page = cut(root, markup.mark)
        articles, broken = _embedded_articles(root)
        marked = "\n".join(markup.article_body(page.blocks))
        body = _body(page, [*(body for _, body in articles), marked], broken)
        record = file_record(file.relative_to(path), page, naming)
        record["segments"] = aligned(page, markup, body, titles=[title for title, _ in articles if title], url=page.url)
        if body != marked:
            _require_whole(page, markup, body, [segment["role"] == "main" for segment in record["segments"]])
        return record

    return html_pages(path, convert)


def _body(page: Html, said: Sequence[str], broken: str | None) -> str:
    """The article's text: of the bodies that the page names, the one of which most stands on it."""
    texts = [block.text for block in page.blocks]
    bodies = [body for body in said if body]
    longest = max((len(body.split()) for body in bodies), default=0)
    if longest < LEAST_WORDS:
        what = f"broken JSON-LD ({broken})" if broken else "no articleBody"
        raise _refuse(f"an articleBody of {longest} words" if bodies else what, "leave the page out, or label it")
    shown = {body: _words_on_page(body, texts) for body in bodies if len(body.split()) >= LEAST_WORDS}
    best = max(shown, key=lambda body: shown[body])
    if shown[best] < ON_PAGE * len(best.split()):
        raise _refuse(
            f"an articleBody of which {shown[best]} of {len(best.split())} words stand on the page",
            "leave the page out, or save it with its story",
        )
    return best


def _words_on_page(body: str, texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text, main in zip(texts, main_blocks(texts, body), strict=True) if main)


def _require_whole(page: Html, markup: Markup, body: str, is_main: Sequence[bool]) -> None:
    """Refuses a body that ends before the story does: the rest would be taught as boilerplate."""
    words = words_of(body)
    end = words[-6:]
    following = 0
    for block in page.blocks:
        own = words_of(block.text)
        ends = next((i + len(end) for i in range(len(own)) if own[i : i + len(end)] == end), len(own))
        following = max(following, len(own) - ends)
    following = following if following >= len(end) else 0
    beside = sum(len(text.split()) for text in markup.running_on(page.blocks, is_main))
    if following or beside >= max(CUT_WORDS, CUT_SHARE * len(words)):
        raise _refuse(
            f"an articleBody that is cut: {following + beside} words of its element come after it",
            "leave the page out, or label it",
        )


def _refuse(found: str, remedy: str) -> InputError:
    expected = f"schema.org's articleBody, of {LEAST_WORDS} words or more, whole, as JSON-LD or itemprop"
    return InputError(found, expected=expected, remedy=remedy, rule="no-gold")


def _embedded_articles(root: Element | None) -> tuple[list[tuple[str, str]], str | None]:
    """Headlines and bodies in a page's JSON-LD, and what is wrong with the first that is broken."""
    articles: list[tuple[str, str]] = []
    broken = None
    for script in () if root is None else root.iter("script"):
        if "ld+json" in script.get("type", "").lower():
            try:
                articles += _articles(json.loads(_WRAPPED.sub("", script.text or ""), strict=False))
            except (ValueError, RecursionError) as error:  # a page may hold several, and broken ones
                broken = broken or str(error)
    return articles, broken


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

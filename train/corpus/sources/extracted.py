"""Source: a folder of HTML files without labels, labelled where two extractors of HTML agree, and by markup: distant
supervision.

The main story is what trafilatura (Barbaresi 2021, https://aclanthology.org/2021.acl-demo.15) and readability-lxml both
take for it. A page on which they differ is refused, so that what is kept is right more often than either of them.
Headline and related items are told by markup. Such labels are weak: they teach a reader of flat text
(`corpus.auxiliary`), they do not test it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.align import aligned, main_blocks
from train.corpus.sources.encodings import decode
from train.corpus.sources.html_blocks import cut, parse, read_html
from train.corpus.sources.html_folder import file_record, html_pages
from train.corpus.sources.markup import Markup
from train.corpus.sources.schema_org import LEAST_WORDS

AGREED = 0.8
"""F1 of the words that two extractors take for the story, below which a page is refused."""
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
Extractor = Callable[[str], str]
"""Takes HTML, gives the story's text, a paragraph a line."""


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record, InputError or PassedOver)`, in the order of the files' names.

    Args:
        path: The folder of HTML files.
        naming: Maps the corpus' columns and labels to ours.

    Raises:
        InputError: An extractor is not installed.
    """
    extract = extractors()

    def convert(file: Path, content: bytes) -> dict[str, Any]:
        html = without_declaration(decode(content))
        markup = Markup()
        page = cut(parse(content), markup.mark)
        texts = [block.text for block in page.blocks]
        record = file_record(file.relative_to(path), page, naming)
        story = agreed(texts, [main_blocks(texts, _extracted(each, html)) for each in extract])
        record["segments"] = aligned(page, markup, "\n".join(story), url=page.url)
        for segment in record["segments"]:
            segment["role_source"] = "weak"
        return record

    return html_pages(path, convert)


def agreed(texts: Sequence[str], masks: Sequence[Sequence[bool]]) -> list[str]:
    """The blocks that both of two extractors take for the story.

    Args:
        texts: The page's blocks.
        masks: For each extractor, whether a block is in what it extracts.

    Raises:
        InputError: They differ by too much, or agree on too little.
    """
    words = [len(text.split()) for text in texts]
    first, second = (sum(compress(words, mask)) for mask in masks)
    both = [a and b for a, b in zip(*masks, strict=True)]
    common = sum(compress(words, both))
    agreement = 2 * common / (first + second) if common else 0.0
    if agreement < AGREED or common < LEAST_WORDS:
        raise InputError(
            f"extractors agree by {agreement:.2f} (F1), on {common} words",
            expected=f"an article: {AGREED} or more, {LEAST_WORDS} words or more",
            remedy="leave the page out, or label it",
            rule="no-agreement",
        )
    return list(compress(texts, both))


def extractors() -> tuple[Extractor, Extractor]:
    """Trafilatura without its fallback on readability's algorithm, and readability-lxml.

    Raises:
        InputError: One is not installed.
    """
    try:
        import readability  # noqa: F401
        import trafilatura
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed",
            expected="trafilatura and readability-lxml, which label such pages",
            remedy="run `make extractors`",
            rule="not-installed",
        ) from None
    for name in ("trafilatura", "readability"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a page they make nothing of is refused and counted here

    def one(html: str) -> str:
        return trafilatura.extract(html, fast=True, include_comments=False, include_tables=False) or ""

    return one, by_readability


def by_readability(html: str) -> str:
    """The story's text as readability-lxml finds it, a block a line; empty where it says that there is none."""
    from readability import Document
    from readability.readability import Unparseable

    try:
        summary = Document(html).summary()
    except Unparseable:
        return ""
    return "\n".join(
        block.text for block in read_html(f"<meta charset=utf-8><body>{summary}".encode("utf-8", "replace")).blocks
    )


def without_declaration(html: str) -> str:
    """HTML without an XML declaration: lxml refuses text that declares its encoding."""
    return _DECLARATION.sub("", html)


def _extracted(extract: Extractor, html: str) -> str:
    try:
        return extract(html)
    except (
        Exception
    ) as error:  # a stranger's parser may raise anything on a hostile page: that page is refused, and told why
        raise InputError(
            f"an extractor stumbled over it: {type(error).__name__}: {error}"[:300],
            expected="a page that both can read",
            remedy="leave the page out, or label it",
            rule="no-agreement",
        ) from error

"""Source: WCXB, the Web Content eXtraction Benchmark (Foley 2026, CC-BY-4.0): `SPLIT/html/ID.html.gz` and
`SPLIT/ground-truth/ID.json`.

`wcxb:` reads its pages of the type article. Blocks inside the gold text are main; headline and related items, which the
benchmark does not label, are told by markup.

`wcxb-no-story:` reads pages that teach that a page may have no main story. By its taxonomy a listing is "repeated card
elements", a collection a "product grid", a product page what a shop says of a thing: none tells a story of its own.
What a listing links to is told by markup; the rest is boilerplate, and so is all that a shop offers. Where the gold of
such a page runs on like a story (whole posts, an essay before a list, a brochure), the page is refused. So are the
other types: a service's and a documentation's pages are prose of one author, which on an article's page is main, and
the first post of a forum's thread is as much a story as a blog's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.align import Document
from train.corpus.sources.html_blocks import files, read_within
from train.corpus.sources.html_folder import numbered

ARTICLE = "article"
OF_SHOPS = ("collection", "product")
WITHOUT_STORY = ("listing", *OF_SHOPS)
PARAGRAPH, RUNNING = 25, 300
"""A line of so many words is a paragraph; more words than a short story has, in such lines, are running text."""


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)` of the articles, in the order of the files' names.

    Args:
        path: The folder that the repository unpacks to.
        naming: Maps the corpus' columns and labels to ours.
    """
    return _read(path, _is_article, lambda document, _: document.record(naming))


def rows_without_story(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """As `rows`, of the pages that are no article; those that may show a story are refused.

    Args:
        path: The folder that the repository unpacks to.
        naming: Maps the corpus' columns and labels to ours.
    """

    def record(document: Document, kind: str) -> dict[str, Any]:
        paragraphs = [len(line.split()) for line in document.gold.split("\n")]
        running = sum(words for words in paragraphs if words >= PARAGRAPH)
        if running > RUNNING:
            raise InputError(
                f"{running} words of running text",
                expected=f"a page without a story: {RUNNING} words or fewer in paragraphs of {PARAGRAPH} or more",
                remedy="leave the page out",
                rule="running-text",
            )
        made = replace(document, gold="", titles=()).record(naming)
        if kind in OF_SHOPS:
            made["segments"] = [{**segment, "role": "boilerplate", "story": None} for segment in made["segments"]]
        return made

    return _read(path, _has_no_story, record)


def documents(path: Path) -> Iterator[tuple[int, Any]]:
    """As `rows`, the HTML and the gold text themselves: `(number from 1, Document or InputError)`."""
    return _read(path, _is_article, lambda document, _: document)


def _is_article(kind: str) -> bool:
    return kind == ARTICLE


def _has_no_story(kind: str) -> bool:
    if kind not in (ARTICLE, *WITHOUT_STORY):
        raise InputError(
            f"a page of the type {kind!r}",
            expected=f"a type that shows no story: {', '.join(WITHOUT_STORY)}",
            remedy="leave the page out",
            rule="dubious-type",
        )
    return kind != ARTICLE


def _read(path: Path, wanted: Callable[[str], bool], make: Callable[[Document, str], Any]) -> Iterator[tuple[int, Any]]:
    def convert(file: Path) -> Any:
        gold = _gold(file, path)
        if not wanted(gold["type"]):
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
        return make(document, gold["type"])

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
        return {**gold, "type": str(gold["_internal"]["page_type"]["primary"])}
    except (KeyError, TypeError):
        raise InputError(
            "no page type",
            expected='{"_internal": {"page_type": {"primary": "article"}}}',
            remedy="complete it",
            rule="no-type",
        ) from None

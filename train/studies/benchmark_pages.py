"""The pages of a benchmark: their blocks of text, their gold text, and what each extractor takes from their HTML."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from train.common.console import console, track
from train.common.errors import InputError
from train.corpus.column_mapping import site_of
from train.corpus.sources import SOURCES, locate
from train.corpus.sources.encodings import decode
from train.corpus.sources.extracted import without_declaration
from train.corpus.sources.html_blocks import cut, parse
from train.corpus.sources.markup import title_words, words_of
from train.evaluation.text_overlap import text_events
from train.studies.extractors import EXTRACTORS, Extract, Extractor
from train.studies.main_texts import BenchmarkPage, MainTexts


def read_benchmark(
    corpus: str, model: MainTexts, extractors: Sequence[Extract], language: str | None
) -> tuple[list[BenchmarkPage], Counter[str]]:
    """The pages of a benchmark that may be compared, and how many were left out for which reason.

    Args:
        corpus: `aeb:FOLDER`, `wcxb:FOLDER` or `cleaneval:FOLDER`.
        model: What reads flat text, which may have to leave pages out.
        extractors: What reads HTML.
        language: Two letters; pages of other languages are left out. None takes all.

    Raises:
        InputError: The corpus gives no HTML, or cannot be read.
    """
    source, path = locate(corpus)
    if source.documents is None:
        raise InputError(
            "a corpus without HTML and gold text",
            expected=", ".join(f"{name}:FOLDER" for name, s in SOURCES.items() if s.documents),
            remedy="name the benchmark's own folder",
            path=corpus,
            rule="no-html",
        )
    pages: list[BenchmarkPage] = []
    left_out: Counter[str] = Counter()
    for number, document in track(source.documents(path), "extracting"):
        try:
            if isinstance(document, InputError):
                raise document
            root = parse(document.content)
        except InputError as error:
            console.print(f"page {number}: {error}", style="yellow", markup=False)
            left_out["refused"] += 1
            continue
        html = cut(root)
        url = document.url or html.url
        site = site_of(url) if url else ""
        why = model.left_out(document.page_id, url)
        if why is not None:
            left_out[why] += 1
            continue
        lang = (model.language(document.page_id, url) or html.lang or "")[:2].lower()
        if language is not None and lang != language[:2].lower():
            left_out[f"not in {language[:2].lower()}"] += 1
            continue
        headings = [] if root is None else [" ".join("".join(h1.itertext()).split()) for h1 in root.iter("h1")]
        called = [title for title in (html.title, *headings, *document.titles) if title]
        titles = frozenset(tuple(words) for title in called for words in title_words(title)) - {()}
        gold = without_titles(document.gold, titles)
        content = without_declaration(decode(document.content))
        extracted = [_tried(extract, content, lang) for extract in extractors]
        scored = [text_events(gold, without_titles(text, titles)) for text, _ in extracted]
        errors = [error for _, error in extracted]
        blocks = [block.text for block in html.blocks]
        pages.append(BenchmarkPage(document.page_id, site, url, blocks, gold, titles, scored, errors))
    return pages, left_out


def load_extractors() -> tuple[dict[Extractor, Extract], list[str]]:
    """The extractors that are installed together with what they require, and the names of the others."""
    loaded: dict[Extractor, Extract] = {}
    for extractor in EXTRACTORS:
        with suppress(ImportError):
            if extractor.version is not None:
                loaded[extractor] = extractor.load()
    return loaded, [extractor.name for extractor in EXTRACTORS if extractor not in loaded]


def _tried(extract: Extract, html: str, lang: str) -> tuple[str, str | None]:
    """What is extracted, and the error that the extractor raised instead."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of dates they do not understand, once a page
            return extract(html, lang), None
    except Exception as error:  # a stranger's parser may raise anything on a broken page: counted, and no text
        return "", f"{type(error).__name__}: {error}"[:300]


def without_titles(text: str, titles: frozenset[tuple[str, ...]]) -> str:
    """A text without the lines that say what the page is called, and nothing else.

    Args:
        text: The text of a page, a segment a line.
        titles: What the page is called, each title in words as `words_of` parts them.
    """
    return "\n".join(line for line in text.split("\n") if tuple(words_of(line)) not in titles)

"""Which blocks of a page are the main story, when a benchmark gives the story's text alone.

A block of six words or more is main when 70 % of its word 3-grams are in the gold text. A shorter one is main when the
gold has its words between those of the long main blocks around it; before the first and after the last of them, when it
is a whole line of the gold there, and near. Such benchmarks label no related items, and some no headline: those are
told by the page's markup.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.html_blocks import Html, read_html
from train.corpus.sources.html_folder import page_record
from train.corpus.sources.markup import Markup, words_of

LONG, SHARE, GRAM = 6, 0.7, 3
REACH = 10
"""So many blocks before the first and after the last long main block may be short ones of the story."""


@dataclass(frozen=True, slots=True)
class Document:
    """A page as a benchmark of main text extraction gives it.

    Args:
        page_id: The page's id.
        content: Its HTML.
        gold: The main story's text, a paragraph a line where its lines are known.
        url: Its address; its own word for it when None.
        titles: What the story is called, besides the page's own title.
        date: `YYYY-MM-DD`, or None.
    """

    page_id: str
    content: bytes
    gold: str
    url: str | None = None
    titles: tuple[str, ...] = ()
    date: str | None = None

    def record(self, naming: ColumnMapping) -> dict[str, Any]:
        """The page in our JSON form, labelled; `naming` names its site.

        Raises:
            InputError: It cannot be read (`read_html`).
        """
        markup = Markup()
        page = read_html(self.content, markup.mark)
        record = naming.with_site(page_record(self.page_id, page, page.url if self.url is None else self.url))
        record["segments"] = aligned(page, markup, self.gold, url=record["url"] or page.url, titles=self.titles)
        return {**record, "date": self.date}


Make = Callable[[Document], Any]
"""What a source makes of a document: its record, or the document as it is."""


def as_it_is(document: Document) -> Document:
    """The document itself, for whom its HTML and gold text are what is wanted."""
    return document


def aligned(
    page: Html, markup: Markup, gold: str, *, url: str | None, titles: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Segments of a page whose main story's text is known.

    Args:
        page: As `read_html(content, markup.mark)` read it.
        markup: What tells its headline and the items of other stories.
        gold: The main story's text, a paragraph a line where its lines are known.
        url: The page's address, which its links are told from.
        titles: What the story is called, besides the page's own title.

    Returns:
        Segments in page order; `role_source` says how sure a role is: `aligned` with the gold, or `weak`, told by
        markup.
    """
    is_main = main_blocks([block.text for block in page.blocks], gold)
    headline = markup.headline(page.blocks, is_main, [*titles, *([page.title] if page.title else [])])
    if headline is not None:
        is_main[headline] = True
    stories = markup.stories(page.blocks, is_main, url)
    return [
        {
            "text": block.text,
            "role": "main" if main else "boilerplate" if story is None else "related",
            "story": 0 if main else story,
            "topic": None,
            "role_source": "aligned" if main and i != headline else "weak",
        }
        for i, (block, main, story) in enumerate(zip(page.blocks, is_main, stories, strict=True))
    ]


def main_blocks(texts: Sequence[str], gold: str) -> list[bool]:
    """Whether each block is part of the gold text.

    Args:
        texts: The page's blocks, in page order.
        gold: The main story's text, a paragraph a line where its lines are known.
    """
    gold_words = words_of(gold)
    grams = set(zip(*(gold_words[i:] for i in range(GRAM)), strict=False))
    lines = {tuple(words_of(line)) for line in gold.split("\n")} - {()}
    words = [words_of(text) for text in texts]
    in_gold = [len(w) >= LONG and _share(w, grams) >= SHARE for w in words]
    long = [i for i, is_main in enumerate(in_gold) if is_main]
    if not long:
        return [tuple(w) in lines for w in words]
    body = " ".join(gold_words)
    places = _places(words, long, body)
    begin, end = places[long[0]][0], places[long[-1]][1]
    for i in range(max(0, long[0] - REACH), min(long[-1] + REACH + 1, len(texts))):
        if in_gold[i] or not 0 < len(words[i]) < LONG:
            continue
        own = f" {' '.join(words[i])} "
        if long[0] < i < long[-1]:
            at = bisect_left(long, i)
            before, after = long[at - 1], long[at]
            in_gold[i] = own in f" {body[places[before][1] : places[after][0]]} "
        else:
            there = body[:begin] if i < long[0] else body[end:]
            in_gold[i] = tuple(words[i]) in lines and own in f" {there} "
    return in_gold


def _share(words: Sequence[str], grams: set[tuple[str, ...]]) -> float:
    own = list(zip(*(words[i:] for i in range(GRAM)), strict=False))
    return sum(gram in grams for gram in own) / len(own)


def _places(words: Sequence[Sequence[str]], long: Sequence[int], body: str) -> dict[int, tuple[int, int]]:
    """Where in the gold each long main block begins and ends, in characters: by its first and last words, searched in
    page order."""
    places, position = {}, 0
    for i in long:
        start = body.find(" ".join(words[i][:GRAM]), position)
        start = position if start < 0 else start
        end = body.find(" ".join(words[i][-GRAM:]), start)
        end = start if end < 0 else end + len(" ".join(words[i][-GRAM:]))
        places[i] = (start, end)
        position = end
    return places

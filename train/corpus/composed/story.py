"""A story's text as a site shows it: cut into blocks, with sub-headings, lists and key points."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from train.corpus.composed.articles import Article, headlines, sentences
from train.corpus.composed.site import Site
from train.corpus.composed.words import cased, fill, person

BRIEF = 0.06
"""The share of stories of one or two paragraphs, so that length does not give the main story away."""
_ITEM = re.compile(r"(?<=[,;:]) | (?=(?:and|but|with|after|which|who|that) )")


def cut(
    paragraphs: Sequence[str], how: str, rng: random.Random, sizes: Sequence[int] = (1, 1, 2, 2, 3, 3)
) -> list[str]:
    """Text blocks of a story.

    Args:
        paragraphs: The article's own.
        how: A way of `site.CUTS`.
        rng: What draws the sizes.
        sizes: Numbers of sentences that a block of `sentences` may have, each as likely as it is often there.
    """
    match how:
        case "one":
            return [" ".join(paragraphs)]
        case "paragraphs":
            return list(paragraphs)
        case "merged":
            size = rng.randint(2, 4)
            return [" ".join(paragraphs[i : i + size]) for i in range(0, len(paragraphs), size)]
    if how == "single":
        sizes = (1,)
    lines = []
    for paragraph in paragraphs:
        rest = sentences(paragraph)
        while rest:
            size = rng.choice(sizes)
            lines.append(" ".join(rest[:size]))
            rest = rest[size:]
    return lines


def story(articles: Sequence[Article], site: Site, rng: random.Random) -> list[tuple[str, bool]]:
    """The blocks below a headline.

    Args:
        articles: The story's, in order: a long story is joined from several.
        site: Which shows it.
        rng: What draws.

    Returns:
        `(text, whether it is the story's)`; the times of live updates are not.
    """
    live = site.cut != "one" and rng.random() < site.live
    subheads, listed = rng.random() < site.subheads, site.cut != "one" and rng.random() < site.lists
    lines: list[tuple[str, bool]] = []
    heads = 0
    if len(articles[0].paragraphs) > 2 and rng.random() < site.key_points:
        lines += [(point, True) for point in headlines(articles[0])[1 : rng.randint(3, 6)]]
    for number, article in enumerate(articles):
        paragraphs = list(article.paragraphs)
        if len(articles) == 1 and rng.random() < BRIEF:
            paragraphs = paragraphs[: rng.randint(1, 2)]
        if number and rng.random() < 0.5:
            lines.append((cased(article.title, site.headline_case), True))
        blocks = cut(paragraphs, site.cut, rng)
        table_at = rng.randrange(1, len(blocks)) if len(blocks) > 1 and rng.random() < site.tables else 0
        for i, block in enumerate(blocks):
            if table_at and i == table_at:
                lines += [(line, True) for line in _table(rng)]
            if live and rng.random() < 0.4:
                lines.append((f"{rng.randrange(24):02d}:{rng.randrange(60):02d}", False))
                if rng.random() < 0.5:
                    lines.append((rng.choice(headlines(article)), True))
            if subheads and (i or site.numbered) and rng.random() < 0.2:
                heads += 1
                if site.numbered == "line":
                    lines.append((str(heads), True))
                lines.append((f"{heads}. " * (site.numbered == "glued") + _subhead(block, rng), True))
            items = _ITEM.split(block) if listed and i and rng.random() < 0.15 else []
            lines += [(item, True) for item in items] if len(items) > 3 else [(block, True)]
    return lines


def _table(rng: random.Random) -> list[str]:
    """A table of results, prices or people, a line for each cell or for each row."""
    columns: list[Callable[[], str]] = [
        lambda: person(rng),
        lambda: fill("{places}", rng),
        lambda: fill("{firms}", rng),
        lambda: str(rng.randint(0, 30)),
        lambda: fill("{big}", rng),
        lambda: f"{rng.randint(1, 999)}.{rng.randint(0, 99):02d}",
        lambda: fill("{fact_keys}: {n}", rng),
    ]
    drawn = rng.choices(columns, k=rng.choice((1, 2, 3, 4, 5)))
    rows = [[fill("{fact_keys}", rng) for _ in drawn]] * (rng.random() < 0.6)
    rows += [[column() for column in drawn] for _ in range(rng.randint(4, 18))]
    if rng.random() < 0.4:
        return [" ".join(row) for row in rows]
    return [cell for row in rows for cell in row]


def _subhead(block: str, rng: random.Random) -> str:
    """A short line that heads a block, of its own first words."""
    words = re.sub(r"[\"“”,;:.]", "", block).split()[: rng.randint(2, 6)]
    while len(words) > 2 and words[-1].islower() and len(words[-1]) < 5:
        words.pop()
    line = " ".join(words)
    return line + "?" if rng.random() < 0.1 else line

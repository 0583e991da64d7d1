"""Composed pages on the 52 hand-made sites of `sites.yaml`: what is fixed on a site, and how it shows related items.

They are kept for tests on sites of another making than the generated ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from train.corpus.composed.articles import Article, deal, sentences
from train.corpus.composed.canvas import related_kind
from train.corpus.composed.story import cut
from train.corpus.composed.words import MONTHS
from train.corpus.page import Page, Segment

SITES_PER_NETWORK = 4
BLOCK_SIZES = (1, 1, 2, 2, 3)
"""Numbers of sentences of a text block."""
HEADLINES_ONLY = 0.25
"""Of blocks with a heading, whatever the site's shapes: without bare lists of headlines, a model learns that no such
line is related."""
_STORY_FIELDS = ("{headline", "{summary", "{body", "{paragraphs")
_OPTIONAL = "? "


@cache
def read_sites() -> tuple[dict[str, Any], ...]:
    """The site templates, in file order; `sites.yaml` explains the fields."""
    path = Path(__file__).with_name("sites.yaml")
    return tuple(yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def compose(articles: list[Article], *, seed: int, pages: int) -> Iterator[Page]:
    """Yields labelled pages; the same articles, seed and number give the same pages.

    Args:
        articles: The articles of all networks.
        seed: The seed of everything drawn.
        pages: How many pages; sites take turns, so each has about the same number.
    """
    sites = list(read_sites())
    rng = random.Random(f"{seed}/networks")
    rng.shuffle(sites)
    networks = len(sites) // SITES_PER_NETWORK
    pools = deal(articles, networks, rng)
    for number in range(pages):
        index = number % len(sites)
        network, turn = index % networks, number // len(sites)
        pool = pools[network]
        page_rng = random.Random(f"{seed}/{number}")
        # Main stories of a network go round its pool; each site starts elsewhere.
        main = pool[(turn * SITES_PER_NETWORK + index // networks) % len(pool)]
        yield _Composer(sites[index], main, pool, sites, page_rng).page(
            f"{sites[index]['site'].split('.')[0]}-{turn:03d}"
        )


class _Composer:
    """Lays out one page."""

    def __init__(
        self, site: dict[str, Any], main: Article, pool: list[Article], sites: list[dict[str, Any]], rng: random.Random
    ) -> None:
        self.site, self.main, self.rng = site, main, rng
        self.unused = [article for article in pool if article is not main]
        self.rng.shuffle(self.unused)
        self.sites = sites
        self.segments: list[Segment] = []
        self.stories = 0
        self.blocks: set[bool] = set()  # whether the blocks of related items shown have a heading
        day = rng.randrange(28) + 1
        self.date = f"2025-{rng.randrange(12) + 1:02d}-{day:02d}"
        self.fixed = {
            "name": site["name"],
            "section": main.topic.title(),
            "topic": main.topic,
            "date": self._long_date(),
        }

    def page(self, page_id: str) -> Page:
        site = self.site
        self._boilerplate(site["top"])
        self._add(self._fill(site["headline"], headline=self.main.title), "main", 0, self.main.topic)
        self._boilerplate(site["byline"])
        self._boilerplate(site["dateline"])
        self._main_story()
        self._related("before_after")
        self._boilerplate(site["after"])
        self._related("after")
        self._boilerplate(site["bottom"])
        self._related("bottom")
        title = f"{self.main.title} - {site['name']}"
        return Page(
            page_id,
            site["site"],
            tuple(self.segments),
            "en",
            title,
            f"https://{site['site']}/{page_id}",
            self.date,
            {"composed": "templates", "related": related_kind(self.blocks)},
        )

    def _main_story(self) -> None:
        paragraphs = list(self.main.paragraphs)
        if self.rng.random() < 0.15:  # a brief, so that length does not give the main story away
            paragraphs = paragraphs[: self.rng.randint(1, 2)]
        style = self.site["paragraphs"]
        if style == "one":
            lines = [self._fill(self.site["story_wrap"], **self._body_fields(paragraphs))]
        else:
            lines = cut(paragraphs, "merged" if style == "merged" else "sentences", self.rng, BLOCK_SIZES)
        subheads = list(self.site["subheads"])
        self.rng.shuffle(subheads)
        for i, line in enumerate(lines):
            if subheads and 0 < i < len(lines) - 1 and self.rng.random() < 0.2:
                line = f"{line} {self._fill(subheads.pop())}"
            self._add(line, "main", 0, self.main.topic)
            if i < len(lines) - 1 and style != "one":
                if self.site["between"] and self.rng.random() < 0.15:
                    self._boilerplate([self.rng.choice(self.site["between"])])
                if self.site["inline"] and self.rng.random() < 0.15:
                    self._inline(self.rng.choice(self.site["inline"]))

    def _inline(self, template: str | list[str]) -> None:
        article = self._next_article()
        if article is None:
            return
        self.stories += 1
        fields = self._item_fields(article)
        for line in [template] if isinstance(template, str) else template:
            if any(name in line for name in _STORY_FIELDS):
                self._add(self._fill(line, **fields), "related", self.stories, article.topic)
            else:
                self._boilerplate([line])

    def _related(self, where: str) -> None:
        for block in self.site["related"]:
            if block["where"] != where or self.rng.random() > block["chance"]:
                continue
            self.blocks.add(bool(block["heading"]))
            if block["heading"]:
                self._boilerplate([block["heading"]])
            one_shape = self.rng.choice(block["shapes"]) if self.rng.random() < 0.7 else None
            items = self.rng.randint(*block["items"])
            if block["heading"] and self.rng.random() < HEADLINES_ONLY:
                one_shape, items = ["{headline}"], max(items, 3)
            for item in range(items):
                if item and block.get("between") and self.rng.random() < 0.4:
                    self._boilerplate([self.rng.choice(block["between"])])
                self._item(one_shape or self.rng.choice(block["shapes"]))

    def _item(self, shape: list[str]) -> None:
        article = self._next_article()
        if article is None:
            return
        self.stories += 1
        fields = self._item_fields(article)
        for line in shape:
            if line == "{paragraphs}":
                for text in cut(article.paragraphs, "sentences", self.rng, BLOCK_SIZES):
                    self._add(text, "related", self.stories, article.topic)
            elif not line.startswith(_OPTIONAL) or self.rng.random() < 0.5:
                self._add(self._fill(line.removeprefix(_OPTIONAL), **fields), "related", self.stories, article.topic)

    def _item_fields(self, article: Article) -> dict[str, str]:
        # One source and one time an item, however often its lines name them.
        return self._body_fields(article.paragraphs) | {
            "headline": article.title,
            "section": article.topic.title(),
            "topic": article.topic,
            "source": str(self.rng.choice(self.sites)["name"]),
            "ago": self._ago(),
        }

    def _next_article(self) -> Article | None:
        return self.unused.pop() if self.unused else None

    def _body_fields(self, paragraphs: list[str] | tuple[str, ...]) -> dict[str, str]:
        texts = [s for paragraph in paragraphs for s in sentences(paragraph)]
        half = self.rng.randint(1, max(1, len(texts) // 2))
        return {
            "body": " ".join(paragraphs),
            "body_start": " ".join(texts[:half]),
            "body_rest": " ".join(texts[half:]),
            "summary": " ".join(texts[: self.rng.choice((1, 1, 2))]),
        }

    def _boilerplate(self, lines: list[str]) -> None:
        for line in lines:
            if not line.startswith(_OPTIONAL) or self.rng.random() < 0.5:
                self._add(self._fill(line.removeprefix(_OPTIONAL)), "boilerplate", None, None)

    def _add(self, text: str, role: str, story: int | None, topic: str | None) -> None:
        self.segments.append(Segment(" ".join(text.split()), role, story, topic))

    def _fill(self, template: str, **fields: str) -> str:
        if "{" not in template:
            return template
        return template.format_map(_Fields(self, {**self.fixed, **fields}))

    def _ago(self) -> str:
        n = self.rng.randint(2, 55)
        choices = (
            f"{n} minutes ago",
            f"{n % 22 + 2} hours ago",
            f"{n}m ago",
            f"{n % 6 + 2} days ago",
            "an hour ago",
            "yesterday",
            f"{n % 22 + 2}h",
        )
        return self.rng.choice(choices)

    def _long_date(self) -> str:
        year, month, day = self.date.split("-")
        name = MONTHS[int(month) - 1]
        return self.rng.choice(
            (
                f"{int(day)} {name} {year}",
                f"{name} {int(day)}, {year}",
                f"{day}/{month}/{year}",
                f"{name[:3]} {int(day)}, {year}",
            )
        )


_PEOPLE = [
    "Ada Linwood",
    "Ravi Menon",
    "Grace Oduya",
    "Tom Verhoeven",
    "Mei Tanaka",
    "Luis Ferrer",
    "Nora Kjellberg",
    "Samir Haddad",
    "Ivy Castellan",
    "Joseph Mbeki",
    "Priya Nadkarni",
    "Anders Holt",
    "Zainab Yusuf",
    "Peter Quill",
    "Clara Benedek",
    "Hiro Matsuda",
    "Lena Vogt",
    "Omar Rashid",
]
_CITIES = [
    "London",
    "Harare",
    "Singapore",
    "Oslo",
    "Lagos",
    "Manila",
    "Toronto",
    "Dublin",
    "Warsaw",
    "Nairobi",
    "Doha",
    "Mumbai",
    "Lisbon",
    "Sydney",
    "Seoul",
    "Accra",
    "Lima",
    "Riga",
]
_AGENCIES = [
    "Meridian Press",
    "PanWire",
    "Northern News Agency",
    "GlobeDesk",
    "Atlas Photos",
    "UNA",
    "CoastWire",
    "Orient News Service",
]


class _Fields(dict[str, str]):
    """Placeholders that are drawn anew wherever they stand."""

    def __init__(self, composer: _Composer, known: dict[str, str]) -> None:
        super().__init__(known)
        self.composer = composer

    def __missing__(self, name: str) -> str:
        rng = self.composer.rng
        match name:
            case "author" | "author2" | "photographer":
                return rng.choice(_PEOPLE)
            case "time":
                return f"{rng.randrange(24):02d}:{rng.randrange(60):02d}"
            case "ago":
                return self.composer._ago()
            case "source":
                return str(rng.choice(self.composer.sites)["name"])
            case "city":
                return rng.choice(_CITIES)
            case "agency":
                return rng.choice(_AGENCIES)
            case "n":
                return str(rng.randint(2, 400))
            case "n2":
                return str(rng.randint(1000, 99999))
        raise KeyError(name)

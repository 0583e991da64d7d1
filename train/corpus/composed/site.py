"""A news site as it is drawn: what stands on all its pages, and in which manner it shows its stories."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Final

from train.corpus.composed.menus import BOTTOM, CASES, TOP, around, chrome_lines
from train.corpus.composed.words import cased, draw, lists

PLAIN = 0.14
"""The share of sites with hardly any menu or foot."""
SHAPES: Final[tuple[tuple[tuple[str, ...], float], ...]] = (
    (("<headline>",), 13),
    (("<headline>", "<note>"), 3),
    (("<note>", "<headline>"), 2),
    (("<kicker>", "<headline>"), 3),
    (("<kicker>", "<headline>", "<note>"), 1),
    (("<number>", "<headline>"), 1.2),
    (("<number>", "<headline>", "<note>"), 0.4),
    (("<headline>", "<teaser>"), 2),
    (("<headline>", "<teaser>", "<note>"), 0.8),
    (("<kicker>", "<headline>", "<teaser>"), 0.8),
    (("<kicker>", "<headline>", "<teaser>", "<note>"), 0.6),
    (("<headline>", "<note>", "<note2>"), 0.8),
    (("<note>", "<headline>", "<note2>", "<kicker>"), 0.5),
    (("<headline>", "<headline>"), 0.5),
    (("<headline> <note>",), 0.8),
    (("<note> <headline>",), 0.5),
    (("<kicker>: <headline>",), 0.4),
    (("<headline> (<count>)",), 0.3),
    (("<headline>...",), 0.5),
    (("<headline>...", "<note>"), 0.3),
    (("<kicker> | <headline>",), 0.2),
    (("[<kicker>] <headline>",), 0.2),
    (("<headline> - <teaser>",), 0.3),
    (("<agency>", "<ago>", "<headline>", "<body>"), 0.35),
    (("<headline>", "<body>"), 0.35),
    (("<agency>", "<ago>", "- <agency>", "<headline>", "<body_start>", "<body_rest>"), 0.2),
    (("<headline> <body>",), 0.2),
    (("<headline>", "<paragraphs>"), 0.15),
)
"""Shapes of a related item, a line each, and how often each is drawn."""
INSERTS: Final = {
    "ad": 3.0,
    "related_line": 2.5,
    "related_box": 1.2,
    "image": 3.0,
    "quote": 1.0,
    "video": 1.2,
    "newsletter": 0.8,
    "embed": 1.0,
    "facts": 0.6,
    "gallery": 0.7,
    "share": 0.6,
    "promotion": 0.6,
}
"""What may stand between two paragraphs, and how many sites have it, in proportion."""
CUTS: Final = {"sentences": 5.0, "single": 3.0, "paragraphs": 1.5, "merged": 0.6, "one": 0.35}
"""How a site cuts its stories into text blocks."""
AFTER: Final = {
    "tags": 0.6,
    "share": 0.55,
    "notes": 0.5,
    "author": 0.3,
    "newsletter": 0.35,
    "paywall": 0.15,
    "comments": 0.5,
    "ad": 0.3,
    "promotion": 0.2,
    "gallery": 0.1,
    "neighbours": 0.12,
}
"""What stands after the story, and the share of sites that have it."""


@dataclass(frozen=True)
class Rail:
    """A block of related items.

    Args:
        heading: The line above it; None for a bare block.
        shapes: The shapes of its items, each a tuple of lines.
        items: The least and the most items.
        chance: The share of pages that show it.
        ends: Lines after the last item.
        note: What an item's line of time, author or count holds.
        note2: What a second such line holds.
        advertised: The chance of an advertisement between two items.
        big_first: Whether the first item has a teaser whatever the shape.
    """

    heading: str | None
    shapes: tuple[tuple[str, ...], ...]
    items: tuple[int, int]
    chance: float
    ends: tuple[str, ...]
    note: str
    note2: str
    advertised: float
    big_first: bool


@dataclass(frozen=True)
class Site:
    """What a site draws once.

    Args:
        domain: Its registered domain.
        name: What it calls itself.
        top: The lines of its menus, above the story.
        bottom: The lines of its foot.
        head: What stands around the headline, in order.
        crumbs: The separator of a one-line trail of sections; None puts each on a line of its own.
        byline: The template of the line that names the author.
        dateline: The template of the line that tells the day.
        share: The lines of its share bar.
        headline_case: The letter case of its headlines, of `CASES`.
        headline_words: The usual length of its headlines, in words.
        headline_named: What is glued to the main headline, such as the site's name.
        title: The template of the page's title.
        cut: How it cuts its stories, of `CUTS`.
        subheads: The share of its stories that have sub-headings.
        numbered: How sub-headings are numbered: not (empty), `glued` to them, or on a `line` before.
        standfirsts: The share of its stories that have a line between headline and text.
        lists: The share of its stories that have a list.
        tables: The share of its stories that have a table.
        key_points: The share of its stories that begin with their key points.
        live: The share of its stories that are live updates.
        long_stories: The chance that a story goes on with a further article.
        inserts: What may stand between its paragraphs, of `INSERTS`.
        insert_rate: The chance that one follows a paragraph.
        inline_label: What begins a line of a related item within the story.
        top_rail: Items before the story; None for none.
        rails: Blocks of related items after the story.
        after: Kinds of `AFTER` in their order; `rail` stands for the next rail.
        comments: The templates of a comment's lines.
        comment_count: The usual number of comments.
        caption: The order of an image's lines.
    """

    domain: str
    name: str
    top: tuple[str, ...]
    bottom: tuple[str, ...]
    head: tuple[str, ...]
    crumbs: str | None
    byline: str
    dateline: str
    share: tuple[str, ...]
    headline_case: str
    headline_words: float
    headline_named: str
    title: str
    cut: str
    subheads: float
    numbered: str
    standfirsts: float
    lists: float
    tables: float
    key_points: float
    live: float
    long_stories: float
    inserts: tuple[str, ...]
    insert_rate: float
    inline_label: str
    top_rail: Rail | None
    rails: tuple[Rail, ...]
    after: tuple[str, ...]
    comments: tuple[str, ...]
    comment_count: float
    caption: str


def draw_site(name: str, domain: str, rng: random.Random) -> Site:
    """Draws a site.

    Args:
        name: What it is called.
        domain: Its domain.
        rng: What draws everything else.
    """
    case = rng.choices(CASES, (6, 3, 1, 0.3))[0]
    plain = rng.random() < PLAIN
    rails = tuple(_rail(rng, case) for _ in range(rng.choices(range(7), (14, 24, 27, 18, 10, 5, 2))[0]))
    top = chrome_lines(rng, case, around(rng, 6 if plain else 50, 0.7 if plain else 1.1, 330), TOP)
    bottom = chrome_lines(rng, case, around(rng, 5 if plain else 27, 0.7 if plain else 0.9, 250), BOTTOM, menus=top)
    after = [kind for kind, share in AFTER.items() if rng.random() < share]
    rng.shuffle(after)
    after = after + ["rail"] * len(rails)
    if rng.random() < 0.6:
        rng.shuffle(after)
    return Site(
        domain=domain,
        name=name,
        top=tuple(top),
        bottom=tuple(bottom),
        head=_head(rng),
        crumbs=rng.choice((None, " / ", " > ", " » ", " | ")),
        byline=draw("bylines", rng) if rng.random() < 0.9 else "",
        dateline=draw("dates", rng) if rng.random() < 0.95 else "",
        share=tuple(dict.fromkeys(draw("share", rng) for _ in range(around(rng, 3, 0.7, 12)))),
        headline_case=rng.choices(CASES[:3], (66, 30, 4))[0],
        headline_words=rng.gauss(10.5, 1.8),
        headline_named=rng.choice(
            ("", "", "", "", "", "", "", "", "", " | [name]", " - [name]", " | [section] | [name]")
        ),
        title=rng.choice(
            ("<headline>", "<headline> - [name]", "<headline> | [name]", "<headline> | [section] | [name]")
        ),
        cut=rng.choices([*CUTS], [*CUTS.values()])[0],
        subheads=rng.choice((0, 0, 0, 0.2, 0.5, 0.9)),
        numbered=rng.choices(("", "glued", "line"), (18, 1, 1))[0],
        standfirsts=rng.choice((0, 0, 0.5, 1)),
        lists=rng.choice((0, 0, 0, 0.1, 0.3)),
        tables=rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 0, 0.25)),
        key_points=rng.choice((0, 0, 0, 0, 0.5)),
        live=rng.choice((0, 0, 0, 0, 0, 0.2)),
        long_stories=rng.choice((0, 0.2, 0.4, 0.75)),
        inserts=tuple(_some(rng, INSERTS, rng.randint(1, 6))),
        insert_rate=min(0.6, rng.lognormvariate(-1.9, 0.8)),
        inline_label=draw("inline_labels", rng),
        top_rail=_top_rail(rng, case) if rng.random() < 0.2 else None,
        rails=rails,
        after=tuple(after),
        comments=_comment_lines(rng),
        comment_count=rng.lognormvariate(1.4, 1.1),
        caption=rng.choice(("one", "two", "credit", "caption", "three")),
    )


def site_names(count: int, rng: random.Random) -> list[tuple[str, str]]:
    """Names and domains of sites, each its own.

    Args:
        count: The number of sites.
        rng: What draws.
    """
    names: dict[str, str] = {}
    while len(names) < count:
        place = rng.choice((*lists()["words"], *lists()["cities"], *lists()["last"]))
        paper = rng.choice(lists()["papers"])
        # The first form stands twice: it is the usual one.
        name = rng.choice((f"{place} {paper}", f"The {place} {paper}", f"{place} {paper}", f"{place}{paper}"))
        domain = name.removeprefix("The ").replace(" ", "").lower() + ".example"
        names.setdefault(domain, name)
    return [(name, domain) for domain, name in names.items()]


def _some(rng: random.Random, weights: dict[str, float], count: int) -> list[str]:
    chosen = dict.fromkeys(rng.choices([*weights], [*weights.values()], k=count))
    return [*chosen]


def _head(rng: random.Random) -> tuple[str, ...]:
    """What stands around the headline: its place among crumbs, kicker, standfirst, byline, date, share bar, image."""
    before = [kind for kind, share in (("crumbs", 0.5), ("kicker", 0.4), ("ad", 0.15)) if rng.random() < share]
    meta = [
        kind
        for kind, share in (
            ("byline", 0.85),
            ("date", 0.9),
            ("share", 0.55),
            ("jobs", 0.1),
            ("debris", 0.2),
            ("ad", 0.2),
        )
        if rng.random() < share
    ]
    rng.shuffle(meta)
    early = rng.choices((0, 1, 2), (75, 15, 10))[0]
    image = ["image"] if rng.random() < 0.6 else (["video"] if rng.random() < 0.2 else [])
    standfirst = ["standfirst"] if rng.random() < 0.6 else []
    rest = [standfirst, meta[early:], image]
    if rng.random() < 0.3:
        rng.shuffle(rest)
    return (*before, *meta[:early], "headline", *(kind for part in rest for kind in part))


def _rail(rng: random.Random, case: str) -> Rail:
    heading = cased(draw("rail_headings", rng), case) if rng.random() < 0.85 else None
    shapes = rng.choices([shape for shape, _ in SHAPES], [weight for _, weight in SHAPES], k=rng.choice((1, 1, 1, 2)))
    most = rng.choice((2, 3, 4, 4, 5, 6, 6, 8, 10, 12, 16))
    if any("<body" in line or "<par" in line for shape in shapes for line in shape):
        most = min(most, 4)
    ends = tuple(draw("rail_ends", rng) for _ in range(rng.choice((0, 0, 0, 1, 1, 2))))
    return Rail(
        heading=heading,
        shapes=tuple(shapes),
        items=(max(1, most // 2), most),
        chance=rng.choice((0.6, 0.9, 1)),
        ends=ends,
        note=draw("item_notes", rng),
        note2=draw("item_notes", rng),
        advertised=rng.choice((0, 0, 0, 0.1, 0.3)),
        big_first=rng.random() < 0.1,
    )


def _top_rail(rng: random.Random, case: str) -> Rail:
    """A ticker, or the day's top stories above the story."""
    most = rng.choice((1, 2, 3, 4, 5, 6, 8, 10))
    rail = _rail(rng, case)
    short = tuple(shape for shape in rail.shapes if not any("<b" in line or "<p" in line for line in shape))
    return replace(
        rail,
        heading=rail.heading or cased(draw("rail_headings", rng), case),
        shapes=short or (("<headline>",),),
        items=(max(1, most - 2), most),
        chance=0.9,
        advertised=0,
        big_first=False,
    )


def _comment_lines(rng: random.Random) -> tuple[str, ...]:
    """Templates of a comment: who and when, its text, its buttons."""
    who = rng.choice(
        (("{nick}",), ("{nick}", "[ago]"), ("{nick} [ago]",), ("{nick}", "[date]"), ("[date]", "{nick}"), ())
    )
    buttons = tuple(draw("comment_chrome", rng) for _ in range(rng.choice((0, 1, 2, 2, 3))))
    return (*who, "<text>", *buttons)

"""Pages made in memory. The same arguments give the same page."""

from __future__ import annotations

import random
from dataclasses import replace

from train.corpus.page import Page, Segment

WORDS = {
    "sport": [
        "match",
        "goal",
        "striker",
        "league",
        "coach",
        "referee",
        "stadium",
        "season",
        "penalty",
        "keeper",
        "cup",
        "fixture",
    ],
    "business": [
        "profit",
        "shares",
        "market",
        "bank",
        "turnover",
        "investor",
        "merger",
        "tariff",
        "export",
        "dividend",
        "loan",
        "budget",
    ],
}
PLAIN = [
    "the",
    "a",
    "of",
    "and",
    "in",
    "said",
    "after",
    "while",
    "about",
    "again",
    "people",
    "city",
    "week",
    "year",
    "many",
    "first",
    "later",
    "would",
    "could",
]


def sentence(rng: random.Random, topic: str, words: int = 14) -> str:
    """A sentence about a topic, of no meaning."""
    picked = [rng.choice(WORDS[topic] if rng.random() < 0.4 else PLAIN) for _ in range(words)]
    return " ".join(picked).capitalize() + "."


def make_page(site: str, number: int, *, related: int = 2) -> Page:
    """A page of a site: menu, headline, story, related items, footer. The same arguments give the same page."""
    rng = random.Random(f"{site}/{number}")
    main, *others = (rng.choice(sorted(WORDS)) for _ in range(related + 1))
    segments = [Segment(f"{site} {name}", "boilerplate") for name in ("Home", "News", "Login")]
    segments.append(Segment(sentence(rng, main, 6).rstrip("."), "main", 0, main))
    segments += [Segment(" ".join(sentence(rng, main) for _ in range(2)), "main", 0, main) for _ in range(4)]
    segments.append(Segment("Advertisement", "boilerplate"))
    segments.append(Segment(f"More from {site}", "boilerplate"))
    for story, topic in enumerate(others, start=1):
        segments.append(Segment(sentence(rng, topic, 6).rstrip("."), "related", story, topic))
        segments.append(Segment(" ".join(sentence(rng, topic) for _ in range(3)), "related", story, topic))
    segments += [Segment("Contact us", "boilerplate"), Segment(f"© {site}, all rights reserved", "boilerplate")]
    return Page(f"{site}-{number}", f"{site}.example", tuple(segments), "en", f"Title {number}", None, "2026-01-02")


def mislabelled(page: Page) -> Page:
    """A page with two labels that no model can guess."""
    odd = (
        replace(page.segments[-1], role="main", story=0, topic=page.segments[4].topic),
        replace(page.segments[5], role="boilerplate", story=None, topic=None),
    )
    return page.with_segments((*page.segments[:5], odd[1], *page.segments[6:-1], odd[0]))

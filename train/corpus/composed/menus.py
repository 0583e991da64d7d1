"""The fixed lines of a site: menus, service links, the foot, and the debris of its markup."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from train.corpus.composed.words import cased, draw, lists

CASES: Final = ("asis", "title", "upper", "lower")
NAV_HEADLINE, NAV_TEASER = "<nav>", "<nav teaser>"
"""A line of a menu or a footer that holds a headline of the day, alone or with its lead: a menu's entry, so
boilerplate."""


def around(rng: random.Random, median: float, spread: float, most: int) -> int:
    """A whole number, log-normal about its median.

    Args:
        rng: What draws.
        median: The median.
        spread: The standard deviation of its logarithm.
        most: The largest number; the smallest is 1.
    """
    return min(most, max(1, round(rng.lognormvariate(0, spread) * median)))


Block = Callable[[random.Random, int], list[str]]


def _of(name: str) -> Block:
    """A block of entries of one list."""
    return lambda rng, size: [*dict.fromkeys(draw(name, rng) for _ in range(max(1, size)))]


def _menu(rng: random.Random, size: int) -> list[str]:
    """Sections, some with entries of their own below."""
    entries: list[str] = []
    nested = rng.choice((0, 0, 0.3, 0.8))
    names = list(lists()["sections"])
    rng.shuffle(names)
    while len(entries) < size and names:
        entries.append(names.pop())
        if rng.random() < nested:
            below = rng.choice(("subsections", "subsections", "subsections", "sports", "places"))
            entries += [draw(below, rng) for _ in range(rng.randint(2, 9))]
            if rng.random() < 0.15:
                entries += [NAV_HEADLINE] * rng.randint(1, 3)
    return entries[: max(3, size)]


def _prose(name: str) -> Block:
    return lambda rng, size: [draw(name, rng) for _ in range(rng.choice((1, 1, 2)))]


TOP: tuple[tuple[Block, float], ...] = (
    (_menu, 7),
    (_of("services"), 5),
    (_of("subsections"), 1.5),
    (_of("sports"), 0.7),
    (_of("places"), 1.2),
    (_of("languages"), 0.5),
    (_of("markets"), 0.5),
    (_of("weather"), 0.6),
    (_of("networks"), 1.2),
    (_of("debris"), 1.0),
    (_of("corporate"), 0.8),
    (_of("consent"), 0.3),
    (_of("newsletters"), 0.4),
    (_of("kickers"), 0.5),
    (_prose("consent_prose"), 0.25),
    (_prose("newsletter_prose"), 0.25),
    (_prose("paywall_prose"), 0.1),
    (_prose("ad_prose"), 0.4),
    (_of("archives"), 0.2),
    (lambda rng, size: [NAV_HEADLINE] * rng.randint(1, 5), 0.3),
    (lambda rng, size: [NAV_TEASER] * rng.randint(1, 6), 0.06),
)
BOTTOM: tuple[tuple[Block, float], ...] = (
    (_of("corporate"), 6),
    (_menu, 2.5),
    (_of("networks"), 2),
    (_of("services"), 1.5),
    (_of("papers_named"), 0.8),
    (_of("places"), 0.6),
    (_of("languages"), 0.4),
    (_of("newsletters"), 1.2),
    (_of("consent"), 0.8),
    (_of("debris"), 1),
    (_of("paywall"), 0.4),
    (_prose("newsletter_prose"), 0.8),
    (_prose("consent_prose"), 0.6),
    (_prose("legal"), 2),
    (_prose("paywall_prose"), 0.3),
    (_prose("ad_prose"), 0.3),
    (_of("archives"), 0.5),
    (lambda rng, size: [NAV_HEADLINE] * rng.randint(1, 4), 0.15),
)


def chrome_lines(
    rng: random.Random, case: str, size: int, blocks: tuple[tuple[Block, float], ...], menus: list[str] | None = None
) -> list[str]:
    """Menus and other fixed lines; a long menu may stand there twice, as on phones.

    Args:
        rng: What draws.
        case: The site's letter case, of `CASES`.
        size: The number of lines, about.
        blocks: Kinds of lines and how often each is drawn: `TOP` or `BOTTOM`.
        menus: The lines of the site's top, of which its foot may repeat some; None for the top itself.
    """
    lines: list[str] = []
    kinds, weights = [block for block, _ in blocks], [weight for _, weight in blocks]
    while len(lines) < size:
        block = rng.choices(kinds, weights)[0]
        made = block(rng, min(size - len(lines), around(rng, 6, 0.9, 90)))
        own = case if rng.random() < 0.8 else rng.choice(CASES)
        lines += [
            line if len(line.split()) > 6 or line in (NAV_HEADLINE, NAV_TEASER) else cased(line, own) for line in made
        ]
        if rng.random() < 0.08:
            lines += lines[: size - len(lines)]
        if menus and rng.random() < 0.1:
            start = rng.randrange(len(menus))
            lines += menus[start : start + size - len(lines)]
    if menus is not None and rng.random() < 0.85:
        lines.insert(rng.randint(len(lines) // 2, len(lines)), draw("legal", rng))
    return lines

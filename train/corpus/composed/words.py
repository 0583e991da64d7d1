"""The words of invented sites: lists that name each other (`words/*.yaml`), and values such as dates and numbers.

`{name}` in an entry is filled when a site is drawn, and so stands on all its pages; `[name]` is filled anew on each
page.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from train.corpus.composed.articles import Article

FOLDER = Path(__file__).with_name("words")
_SLOT = re.compile(r"\{(\w+)\}")
_PAGE_SLOT = re.compile(r"\[(\w+)\]")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w’'-]+(?: (?:of |de |van )?[A-Z][\w’'-]+){0,3}")
MONTHS = ["January", "February", "March", "April", "May", "June", "July"]
MONTHS += ["August", "September", "October", "November", "December"]
_WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


@cache
def lists() -> dict[str, tuple[str, ...]]:
    """Every list of `words/*.yaml` by its name."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries: dict[str, tuple[str, ...]] = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        for name, text in yaml.load(path.read_text(encoding="utf-8"), Loader=loader).items():
            entries[name] = tuple(entry.strip() for entry in text.split(";"))
    return entries


def draw(name: str, rng: random.Random) -> str:
    """An entry of a list, its `{slots}` filled.

    Args:
        name: The list's name.
        rng: What draws.
    """
    return fill(rng.choice(lists()[name]), rng)


def fill(template: str, rng: random.Random) -> str:
    """Fills the `{slots}` of a template.

    Args:
        template: An entry of a list, or any text with slots.
        rng: What draws.
    """
    while "{" in template:
        template = _SLOT.sub(lambda match: _value(match.group(1), rng), template)
    return template


def _value(name: str, rng: random.Random) -> str:
    match name:
        case "n":
            return str(rng.randint(2, 60))
        case "two":
            return f"{rng.randrange(60):02d}"
        case "big":
            return str(rng.choice((rng.randint(100, 9999), rng.randint(10_000, 9_999_999))))
        case "time":
            return time(rng)
        case "date":
            return date(rng, None)
    return rng.choice(lists()[name])


def time(rng: random.Random) -> str:
    """A time of day as sites write it."""
    hour, minute = rng.randrange(24), rng.randrange(60)
    half = "AM" if hour < 12 else "PM"
    return rng.choice(
        (f"{hour:02d}:{minute:02d}", f"{hour % 12 or 12}:{minute:02d} {half}", f"{hour % 12 or 12}.{minute:02d}")
    )


def date(rng: random.Random, iso: str | None) -> str:
    """A day as sites write it.

    Args:
        rng: What draws the way of writing, and the day when none is given.
        iso: The day, `YYYY-MM-DD`; None draws one.
    """
    if iso is None:
        year, month, day = rng.randint(2004, 2026), rng.randint(1, 12), rng.randint(1, 28)
    else:
        year, month, day = map(int, iso.split("-"))
    name, weekday = MONTHS[month - 1], _WEEKDAYS[(day + 2 * month + year) % 7]
    return rng.choice(
        (
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{day:02d}/{month:02d}/{year}",
            f"{month:02d}.{day:02d}.{year}",
            f"{name[:3]} {day}, {year}",
            f"{name[:3]}. {day}, {year}",
            f"{day} {name[:3]} {year}",
            f"{weekday}, {name} {day}, {year}",
            f"{weekday} {day} {name} {year}",
            f"{weekday[:3]} {day} {name[:3]} {year}",
            f"{year}-{month:02d}-{day:02d}",
        )
    )


def ago(rng: random.Random) -> str:
    """How long ago something was published."""
    n = rng.randint(2, 55)
    return rng.choice(
        (
            f"{n} minutes ago",
            f"{n % 22 + 2} hours ago",
            f"{n}m ago",
            f"{n % 6 + 2} days ago",
            "an hour ago",
            "yesterday",
            f"{n % 22 + 2}h",
            f"{n % 6 + 2}d ago",
            f"{n % 22 + 2} hrs ago",
            "just now",
            f"{n} mins ago",
        )
    )


def person(rng: random.Random) -> str:
    """An invented name."""
    return f"{rng.choice(lists()['first'])} {rng.choice(lists()['last'])}"


def cased(text: str, case: str) -> str:
    """The text in the letter case of a site's menus and headlines.

    Args:
        text: What is written.
        case: `asis`, `title`, `upper` or `lower`.
    """
    match case:
        case "title":
            small = {"a", "an", "and", "as", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"}
            words = text.split(" ")
            return " ".join(
                word if i and word in small else word[:1].upper() + word[1:] for i, word in enumerate(words)
            )
        case "upper":
            return text.upper()
        case "lower":
            return text.lower()
    return text


_PAGE_NAMES = {"name", "section", "topic", "year", "author", "date", "ago", "thing", "agency", "when", "quote"}
_PAGE_NAMES |= {"n", "two", "big", "time"}


class PageWords:
    """Fills the `[slots]` of one page."""

    def __init__(self, rng: random.Random, article: Article, name: str, day: str) -> None:
        """Looks for the names that the article tells of.

        Args:
            rng: What draws.
            article: The page's main story.
            name: The site's name.
            day: When the story was published, `YYYY-MM-DD`.
        """
        self.rng, self.day = rng, day
        self.authors = [person(rng) for _ in range(2)]
        names = [re.sub(r"['’]s$", "", found) for found in _NAME.findall(" ".join(article.paragraphs[:8]))]
        self.things = [*dict.fromkeys(name for name in names if "'" not in name)][:12] or [article.topic, "this"]
        self.quotes = [part for part in article.paragraphs[:6] if 4 <= len(part.split()) <= 20]
        self.fixed: Mapping[str, str] = {
            "name": name,
            "section": article.topic.title(),
            "topic": article.topic,
            "year": day[:4],
            "author": self.authors[0],
        }

    def fill(self, template: str) -> str:
        """Fills a template's slots of both kinds."""
        if "{" in template:
            template = fill(template, self.rng)
        if "[" in template:
            template = _PAGE_SLOT.sub(self._value, template)
        return " ".join(template.split())

    def draw(self, name: str) -> str:
        """An entry of a list, all its slots filled."""
        return self.fill(self.rng.choice(lists()[name]))

    def _value(self, slot: re.Match[str]) -> str:
        # A heading in capitals has its slots in capitals too; an article's own brackets are no slots.
        if slot.group(1).lower() not in _PAGE_NAMES:
            return slot.group()
        value = self._of(slot.group(1).lower())
        return value.upper() if slot.group(1).isupper() else value

    def _of(self, name: str) -> str:
        if name in self.fixed and (name != "author" or self.rng.random() < 0.8):
            return self.fixed[name]
        match name:
            case "author":
                return person(self.rng)
            case "date":
                return date(self.rng, self.day)
            case "ago":
                return ago(self.rng)
            case "thing":
                return self.rng.choice(self.things)
            case "agency":
                return draw("agencies", self.rng)
            case "when":
                return self.rng.choice(("on Monday", "last week", f"in {self.day[:4]}", "yesterday", "this month"))
            case "quote":
                return self.rng.choice(self.quotes or ["That's it"])
        return _value(name, self.rng)

"""The named rules of `make check` that a page, a site or a corpus may break and still be kept: warnings."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from train.common.files import sha256_json
from train.corpus.page import Page
from train.corpus.quality.swapped_labels import SwappedLabelDetector
from train.corpus.sources.html_blocks import RUNNING
from train.corpus.splits.near_duplicates import words
from train.runtime.text import CONTROL, ROLES

LONG_CHARS = 50_000
SHORT_MAIN_WORDS = 25
SHORT_PAGE = 10
LEAST_SITES = 3
"""A role or topic on fewer sites cannot be in each of train, validation and test."""
UNIFORM_PAGES = 5
DOMINANT_SHARE = 0.5
_VISIBLE = re.compile(rf"(?!{CONTROL})\S")
_DEBRIS = re.compile(
    "\ufffd|[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac[\u0098-\u2122]|\u00e2\u20ac.|[\ue000-\uf8ff]|[\u00c0-\u00ff]{5}"
)
HARDLY_ANY = 0.01
"""Of the characters of a page's HTML that are no markup, such a share or less is seen, the rest are scripts."""
LABEL_CHARS = 100
"""So few characters are a word about loading, or about scripts, when there are ten times as many others."""
RUNNING_CHARS = 1000
"""A page with more running text has a story, whatever else is in it."""
_MARKUP = re.compile(
    r"&(?:amp|nbsp|quot|lt|gt|#\d{2,5}|#x[0-9a-fA-F]{2,4});|</?(?:p|div|span|br|a|script|b|i|li)(?:\s[^<>]{0,200})?/?>"
)
PAGE_RULES: dict[str, tuple[str, Callable[[Page], bool]]] = {
    "no-text": (
        "page with no or hardly any text for its size: its story is in scripts, or elsewhere",
        lambda page: _no_text(page),
    ),
    "no-main": ("page without a main segment", lambda page: all(s.role != "main" for s in page.segments)),
    "short-main": (
        f"page whose main story has fewer than {SHORT_MAIN_WORDS} words",
        lambda page: 0 < _main_words(page) < SHORT_MAIN_WORDS,
    ),
    "empty-segment": (
        "page with a segment that has no visible text",
        lambda page: not all(_VISIBLE.search(s.text) for s in page.segments),
    ),
    "short-segments": (
        f"page of {SHORT_PAGE} segments or more, nine tenths of them a word or two: cut too finely",
        lambda page: (
            len(page.segments) >= SHORT_PAGE
            and sum(len(words(s.text)) <= 2 for s in page.segments) >= 0.9 * len(page.segments)
        ),
    ),
    "one-segment": ("page of a single segment: it has no context to read", lambda page: len(page.segments) == 1),
    "long-segment": (
        f"page with a segment over {LONG_CHARS:,} characters",
        lambda page: any(len(s.text) > LONG_CHARS for s in page.segments),
    ),
    "encoding-debris": (
        "page with encoding debris (U+FFFD, Ã¤, â€™, Ìîñêâà, private characters)",
        lambda page: any(_DEBRIS.search(s.text) for s in page.segments),
    ),
    "markup-debris": (
        "page with HTML left in its text (&amp;, </p>)",
        lambda page: any(_MARKUP.search(s.text) for s in page.segments),
    ),
    "story-without-number": (
        "page with a related segment that has no story number",
        lambda page: any(s.role == "related" and s.story is None for s in page.segments),
    ),
    "story-number-gap": ("page whose related stories are not numbered 1, 2, 3, …", lambda page: _gap(page)),
    "story-interrupted": (
        "page where a related story goes on after another one began",
        lambda page: _interrupted(page),
    ),
    "story-of-two-topics": ("page with a story of two topics", lambda page: _two_topics(page)),
}
"""Rules of one page: name -> (what it says, whether a page breaks it)."""
CORPUS_RULES: dict[str, str] = {
    "same-page": "page whose segments are those of an earlier page under another id",
    "uniform-site": f"site of {UNIFORM_PAGES} pages or more whose pages all have the same roles in the same order, or "
    "one role only",
    "exchanged-roles": "site whose labels a reading of the other sites would give under exchanged names: probably "
    "mixed up",
    "dominant-site": f"site with more than {DOMINANT_SHARE:.0%} of all pages",
    "rare-role": f"role on fewer than {LEAST_SITES} sites: no split can have it in every part",
    "rare-topic": f"topic on fewer than {LEAST_SITES} sites: no split can have it in every part",
}
"""Rules of the corpus as a whole: name -> what it says."""


def _no_text(page: Page) -> bool:
    """Whether next to nothing of a page is seen; what else its HTML has is known of pages read from HTML alone."""
    texts = [" ".join(s.text.split()) for s in page.segments if _VISIBLE.search(s.text)]
    seen, unseen = sum(map(len, texts)), page.extra.get("unseen_chars")
    if not seen or not isinstance(unseen, int | float):
        return not seen
    running = sum(len(text) for text in texts if len(text) >= RUNNING)
    least = max(HARDLY_ANY * unseen, min(LABEL_CHARS, unseen / 10))
    return seen < least and running < RUNNING_CHARS


def _main_words(page: Page) -> int:
    return sum(len(words(s.text)) for s in page.segments if s.role == "main")


def _related(page: Page) -> list[int]:
    return [s.story for s in page.segments if s.role == "related" and s.story is not None]


def _gap(page: Page) -> bool:
    numbers = set(_related(page))
    return bool(numbers) and numbers != set(range(1, len(numbers) + 1))


def _interrupted(page: Page) -> bool:
    runs = [story for story, _ in groupby(_related(page))]
    return len(runs) > len(set(runs))


def _two_topics(page: Page) -> bool:
    topics: defaultdict[int, set[str]] = defaultdict(set)
    for s in page.segments:
        if s.story is not None and s.topic is not None:
            topics[s.story].add(s.topic)
    return any(len(found) > 1 for found in topics.values())


@dataclass
class _Site:
    pages: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    first_order: str | None = None
    uniform: bool = True


class CorpusWatch:
    """Sees every page once and keeps a few bytes of each, for the rules that need the whole corpus."""

    def __init__(self) -> None:
        self._sites: defaultdict[str, _Site] = defaultdict(_Site)
        self._topics: defaultdict[str, set[str]] = defaultdict(set)
        self._texts: dict[bytes, str] = {}
        self._pages = 0
        self._exchanges = SwappedLabelDetector()

    @property
    def sites(self) -> int:
        """Number of sites seen."""
        return len(self._sites)

    def page(self, page: Page) -> str | None:
        """Takes note of a page; returns the id of an earlier page with the same segments, if there is one."""
        self._pages += 1
        if page.labelled:
            self._exchanges.page(page)
        site = self._sites[page.site]
        site.pages += 1
        roles = [str(s.role) for s in page.segments]
        site.roles.update(roles)
        order = sha256_json(roles)[:16]
        site.first_order = site.first_order or order
        site.uniform &= order == site.first_order
        for s in page.segments:
            if s.topic is not None and len(self._topics[s.topic]) < LEAST_SITES:
                self._topics[s.topic].add(page.site)
        return self._earlier(page)

    def _earlier(self, page: Page) -> str | None:
        key = bytes.fromhex(sha256_json([text.split() for text in page.texts])[:24])
        earlier = self._texts.setdefault(key, page.page_id)
        return None if earlier == page.page_id else earlier

    def findings(self) -> Iterator[tuple[str, str]]:
        """`(rule, what breaks it)` once all pages were seen."""
        for name, site in sorted(self._sites.items()):
            if site.pages >= UNIFORM_PAGES and (site.uniform or len(site.roles) == 1):
                yield "uniform-site", f"{name}, {site.pages} pages"
            if self._pages >= UNIFORM_PAGES and site.pages > DOMINANT_SHARE * self._pages:
                yield "dominant-site", f"{name}, {site.pages} of {self._pages} pages"
        for what in self._exchanges.findings():
            yield "exchanged-roles", what
        for role in ROLES:
            on = sum(site.roles[role] > 0 for site in self._sites.values())
            if on < LEAST_SITES and self._pages:
                yield "rare-role", f"{role}, on {on} site{'s'[: on != 1]}"
        for topic, sites in sorted(self._topics.items()):
            if len(sites) < LEAST_SITES:
                yield "rare-topic", f"{topic}, on {len(sites)} site{'s'[: len(sites) != 1]}"

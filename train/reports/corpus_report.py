"""`make corpus-report`: a corpus on one static HTML page, to be looked at before anything is trained on it."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.corpus.column_mapping import Naming
from train.corpus.page import Page
from train.corpus.quality.check import WARNINGS, CheckReport, check_corpus
from train.corpus.splits.leakage import LEAST_WORDS, normal
from train.reports import figures
from train.reports.html import escape, listing, table, write_page
from train.runtime.text import ROLES, word_count

SAMPLE = 20
LENGTHS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 4096])
PLACES = np.linspace(0, 1, 26)
CONFLICTS = 40
_UNLABELLED = "unlabelled"


@dataclass
class _Text:
    text: str
    roles: Counter[str] = field(default_factory=Counter)
    sites: set[str] = field(default_factory=set)


class CorpusStatistics:
    """Sees each page once; memory grows with sites and distinct texts, not with pages."""

    def __init__(self, seed: int = 0) -> None:
        self.pages = 0
        self.sites: Counter[str] = Counter()
        self.languages: Counter[str] = Counter()
        self.topics: Counter[str] = Counter()
        self.roles: Counter[str] = Counter()
        self.months: Counter[str] = Counter()
        self.segments_a_page: list[int] = []
        self.stories_a_page: list[int] = []
        self.lengths = {role: np.zeros(len(LENGTHS) - 1) for role in (*ROLES, _UNLABELLED)}
        self.places = {role: np.zeros(len(PLACES) - 1) for role in (*ROLES, _UNLABELLED)}
        self.sample: list[Page] = []
        self._texts: dict[bytes, _Text] = {}
        self._repeats: Counter[str] = Counter()
        self._rng = random.Random(seed)

    def page(self, page: Page) -> None:
        """Takes note of a page."""
        self.pages += 1
        self.sites[page.site or "unknown"] += 1
        self.languages[page.lang or "unknown"] += 1
        self.months[(page.date or "unknown")[:7]] += 1
        self.segments_a_page.append(len(page.segments))
        stories = {s.story: s.topic for s in page.segments if s.story is not None}
        self.stories_a_page.append(len([story for story in stories if story]))
        self.topics.update(topic for topic in stories.values() if topic is not None)
        found: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for i, segment in enumerate(page.segments):
            role = segment.role or _UNLABELLED
            self.roles[role] += 1
            found[role].append((max(1, len(segment.text.split())), (i + 0.5) / len(page.segments)))
            self._text(segment.text, role, page.site)
        for role, values in found.items():
            words, places = np.array(values).T
            self.lengths[role] += np.histogram(np.minimum(words, LENGTHS[-1]), LENGTHS)[0]
            self.places[role] += np.histogram(places, PLACES)[0]
        # Reservoir sampling (Vitter 1985, algorithm R): each page is as likely to be shown as any other.
        if len(self.sample) < SAMPLE:
            self.sample.append(page)
        elif (place := self._rng.randrange(self.pages)) < SAMPLE:
            self.sample[place] = page

    def _text(self, text: str, role: str, site: str) -> None:
        plain = normal(text)
        if not plain:
            return
        key = hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=12).digest()
        known = self._texts.get(key)
        if known is None:
            known = self._texts[key] = _Text(text[:160])
        else:
            self._repeats[role] += 1
        known.roles[role] += 1
        if len(known.sites) < 3:
            known.sites.add(site)

    def repeats(self) -> list[tuple[str, int, int, float]]:
        """`(role, segments, of these copies of an earlier segment, share)`."""
        return [(role, n, self._repeats[role], self._repeats[role] / n) for role, n in self.roles.most_common()]

    def conflicts(self) -> list[tuple[str, int, dict[str, int], bool]]:
        """Texts of three words or more that have several roles: `(text, times, times by role, on more than one site)`,
        the evenest and most frequent first."""
        mixed = [t for t in self._texts.values() if len(t.roles) > 1 and word_count(t.text) >= LEAST_WORDS]
        mixed.sort(key=lambda t: (-(sum(t.roles.values()) - max(t.roles.values())), t.text))
        return [(t.text, sum(t.roles.values()), dict(t.roles.most_common()), len(t.sites) > 1) for t in mixed]

    def most_repeated(self) -> list[tuple[str, int, str, int]]:
        """`(text, times, most frequent role, sites up to 3)` of the texts that stand most often."""
        often = sorted(self._texts.values(), key=lambda t: (-sum(t.roles.values()), t.text))[:15]
        return [(t.text, sum(t.roles.values()), t.roles.most_common(1)[0][0], len(t.sites)) for t in often]


def corpus_report(
    corpus: str, output: Path, *, quarantine: Path, naming: Naming | None = None, labelled: bool = True, seed: int = 0
) -> CheckReport:
    """Checks a corpus and writes what is in it as one HTML page.

    Args:
        corpus: A path or `SOURCE:PATH`.
        output: The HTML file.
        quarantine: Where refused pages go.
        naming: How its columns and labels become ours.
        labelled: Whether roles and sites are required.
        seed: Of the pages shown.

    Raises:
        InputError: The corpus as a whole cannot be read.
    """
    seen = CorpusStatistics(seed)
    report = check_corpus(corpus, quarantine=quarantine, naming=naming, labelled=labelled, on_page=seen.page)
    write_page(output, f"Corpus {Path(corpus).name}", _parts(report, seen))
    return report


def _parts(report: CheckReport, seen: CorpusStatistics) -> Iterable[str]:
    yield (
        f"<p><code>{escape(report.path)}</code><br>sha256 <code>{report.sha256}</code><br>{report.lines:,} pages in = "
        f"{report.kept:,} kept + "
        f"{sum(report.errors.values()):,} quarantined; {len(seen.sites):,} sites, {report.segments:,} segments</p>"
    )
    yield "<h2>Findings</h2>"
    yield from _findings(report)
    if not seen.pages:
        return
    yield "<h2>Pages and sites</h2>"
    yield figures.gallery(
        figures.bars(seen.sites, f"Pages of each site: the largest of {len(seen.sites):,}", rest=False),
        figures.histogram(list(seen.sites.values()), "Sites by number of pages", along="pages of a site", up="sites"),
        figures.histogram(seen.segments_a_page, "Segments of a page", along="segments", up="pages"),
        figures.histogram(
            [n + 1 for n in seen.stories_a_page],
            "Stories of a page, the main story counted",
            along="stories",
            up="pages",
        ),
        figures.bars(seen.languages, "Pages by language"),
        figures.bars(dict(sorted(seen.months.items())[-12:]), "Pages by month: the last 12 there are", ordered=True),
    )
    yield "<h2>Segments</h2>"
    present = [role for role in (*ROLES, _UNLABELLED) if seen.roles[role]]
    lengths, places = (
        {role: counts[role] / seen.roles[role] for role in present} for counts in (seen.lengths, seen.places)
    )
    yield figures.gallery(
        figures.bars(seen.roles, "Segments by role", coloured=True),
        figures.lines(lengths, LENGTHS, "Length", along="words of a segment", up="share of the role", logarithmic=True),
        figures.lines(places, PLACES, "Where each role stands", along="place on the page", up="share of the role"),
    )
    if seen.topics:
        yield "<h2>Topics</h2>" + figures.gallery(figures.bars(seen.topics, "Stories by topic", most=20))
    yield (
        "<h2>Duplicates</h2><p>Segments whose text stood earlier in the corpus (NFKC, case folded, whitespace "
        "collapsed). Menus and phrases repeat rightly; "
    )
    yield "bodies that repeat are copies: <code>make leakage</code> tells whether they cross the split.</p>"
    yield table(("role", "segments", "copies", "share"), seen.repeats())
    yield table(("most repeated text", "times", "mostly", "sites (3 = or more)"), seen.most_repeated())
    yield from _conflicts(seen)
    yield f"<h2>{len(seen.sample)} random pages</h2>"
    for page in seen.sample:
        story = page.title or next((s.text for s in page.segments if s.role == "main"), "")
        head = (
            f"<summary><code>{escape(page.page_id)}</code> {escape(page.site)} <span "
            f"class=dim>{escape(story[:90])}</span></summary>"
        )
        yield f"<details open>{head}{listing(page.to_json()['segments'])}</details>"


def _findings(report: CheckReport) -> Iterable[str]:
    rows: list[tuple[Any, ...]] = [
        ("error", rule, n, "refused", report.examples[rule]) for rule, n in report.errors.most_common()
    ]
    rows += [("warning", rule, n, WARNINGS[rule], report.examples[rule]) for rule, n in report.warnings.most_common()]
    yield table(("", "rule", "found", "what it says", "first"), rows) if rows else "<p>None.</p>"


def _conflicts(seen: CorpusStatistics) -> Iterable[str]:
    found = seen.conflicts()
    yield (
        f"<h2>Label conflicts</h2><p>{len(found):,} texts of three words or more stand in more than one role. A "
        "headline may rightly be main on its own page and related on "
        "another; the same words with two roles on one site are worth a look. Those with most segments in the rarer "
        "roles come first.</p>"
    )
    if found:
        rows = [
            (text, times, ", ".join(f"{role} {n:,}" for role, n in roles.items()), "several" if several else "one")
            for text, times, roles, several in found
        ]
        yield table(("text", "times", "roles", "sites"), rows[:CONFLICTS])

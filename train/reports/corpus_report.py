"""A corpus to be looked at before anything is trained on it: on one static HTML page (`make corpus-report`), and its
checks, its split and its leaks in the terminal."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import Page
from train.corpus.quality.check import WARNINGS, CheckReport, check_corpus
from train.corpus.splits.leakage import LEAST_WORDS, LeakReport, normal
from train.corpus.splits.split import Split, describe
from train.corpus.statistics import FIGURES, POINTS, SHARES
from train.reports import figures
from train.reports.html import write_page
from train.reports.terminal import columns, framed, shortened
from train.runtime.text import ROLES, word_count

SAMPLE = 20
LENGTHS = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 4096])
PLACES = np.linspace(0, 1, 26)
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
        by_role: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for i, segment in enumerate(page.segments):
            role = segment.role or _UNLABELLED
            self.roles[role] += 1
            by_role[role].append((max(1, len(segment.text.split())), (i + 0.5) / len(page.segments)))
            self._text(segment.text, role, page.site)
        for role, values in by_role.items():
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
    corpus: str,
    output: Path,
    *,
    quarantine: Path,
    naming: ColumnMapping | None = None,
    labelled: bool = True,
    seed: int = 0,
) -> CheckReport:
    """Checks a corpus and writes what is in it as one HTML page.

    Args:
        corpus: A path or `SOURCE:PATH`.
        output: The HTML file to write.
        quarantine: Where refused pages go.
        naming: How the corpus's columns and labels become ours.
        labelled: Whether roles and sites are required.
        seed: Seed of the sample of pages that is shown.

    Raises:
        InputError: The corpus as a whole cannot be read.
    """
    seen = CorpusStatistics(seed)
    report = check_corpus(corpus, quarantine=quarantine, naming=naming, labelled=labelled, on_page=seen.page)
    _write_page(output, report, seen)
    return report


def _write_page(output: Path, report: CheckReport, seen: CorpusStatistics) -> None:
    findings: list[tuple[Any, ...]] = [
        ("error", rule, n, "refused", report.examples[rule]) for rule, n in report.errors.most_common()
    ]
    findings += [
        ("warning", rule, n, WARNINGS[rule], report.examples[rule]) for rule, n in report.warnings.most_common()
    ]
    conflicts = [
        (text, times, _counts(roles.items()), "several" if several else "one")
        for text, times, roles, several in seen.conflicts()
    ]
    sample = [
        (page, page.title or next((s.text for s in page.segments if s.role == "main"), "")) for page in seen.sample
    ]
    write_page(
        output,
        f"Corpus {Path(report.path).name}",
        template="corpus.html",
        check=report,
        seen=seen,
        findings=findings,
        drawings=_drawings(seen) if seen.pages else {},
        conflicts=conflicts,
        sample=sample,
    )


def _drawings(seen: CorpusStatistics) -> dict[str, list[figures.Drawing]]:
    """The figures of each section."""
    sites = f"Pages of each site: the largest of {len(seen.sites):,}"
    stories = [n + 1 for n in seen.stories_a_page]
    months = dict(sorted(seen.months.items())[-12:])
    present = [role for role in (*ROLES, _UNLABELLED) if seen.roles[role]]
    lengths, places = (
        {role: counts[role] / seen.roles[role] for role in present} for counts in (seen.lengths, seen.places)
    )
    share = "share of the role"
    return {
        "pages": [
            figures.bars(seen.sites, sites, rest=False),
            figures.histogram(
                list(seen.sites.values()), "Sites by number of pages", along="pages of a site", up="sites"
            ),
            figures.histogram(seen.segments_a_page, "Segments of a page", along="segments", up="pages"),
            figures.histogram(stories, "Stories of a page, the main story counted", along="stories", up="pages"),
            figures.bars(seen.languages, "Pages by language"),
            figures.bars(months, "Pages by month: the last 12 there are", ordered=True),
        ],
        "segments": [
            figures.bars(seen.roles, "Segments by role", coloured=True),
            figures.lines(lengths, LENGTHS, "Length", along="words of a segment", up=share, logarithmic=True),
            figures.lines(places, PLACES, "Where each role stands", along="place on the page", up=share),
        ],
        "topics": [figures.bars(seen.topics, "Stories by topic", most=20)] if seen.topics else [],
    }


def statistics_view(figures: Mapping[str, Mapping[str, Sequence[float]]]) -> RenderableType:
    """Figures of corpora side by side.

    Args:
        figures: What `train.corpus.statistics` gives, by the name of the corpus.
    """
    points = " / ".join(map(str, POINTS))
    table = Table(f"{points} % of pages", *(escape(Path(name).name) for name in figures))
    for name, meaning in FIGURES.items():
        table.add_row(meaning, *(" / ".join(f"{value:.0f}" for value in corpus[name]) for corpus in figures.values()))
    for name, meaning in SHARES.items():
        table.add_row(meaning, *(f"{corpus[name][0]:.2f}" for corpus in figures.values()))
    return table


def check_view(report: CheckReport) -> RenderableType:
    """What a check found, in a few lines."""
    rows: list[RenderableType] = [
        Text(f"{report.path}  sha256 {report.sha256[:12]}"),
        Text(
            f"{report.lines:,} pages in = {report.kept:,} kept + {sum(report.errors.values()):,} quarantined; "
            f"{report.sites:,} sites, {report.segments:,} segments"
        ),
        *([Text(f"passed over: {_counts(report.passed_over.most_common(12))}")] if report.passed_over else []),
        Text(f"roles: {_counts(report.roles.most_common())}"),
    ]
    if report.topics:
        rows.append(Text(f"topics (segments): {_counts(report.topics.most_common(12))}"))
    for rule, count in report.errors.most_common():
        rows.append(Text(f"error   {rule}: {count:,}, first {report.examples[rule]}", "red"))
    for rule, count in report.warnings.most_common():
        rows.append(Text(f"warning {rule}: {count:,} × {WARNINGS[rule]}, first {report.examples[rule]}", "yellow"))
    if report.quarantine:
        rows.append(Text(f"refused pages are in {report.quarantine}", "red"))
    elif not report.warnings:
        rows.append(Text("no finding", "green"))
    return Group(*rows)


def _counts(numbers: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in numbers)


def split_view(split: Split) -> RenderableType:
    """Sites, pages, segments and mix of roles of each part, and what the parts share."""
    table = columns("part", "sites", "pages", "segments", *ROLES)
    for part, sites, pages, segments, roles in describe(split):
        shares = (f"{count / segments:.1%}" if segments else "-" for count in roles)
        table.add_row(part, *(f"{count:,}" for count in (sites, pages, segments)), *shares)
    lines = []
    if linked := sum(map(len, split.linked_sites)):
        groups = len(split.linked_sites)
        lines.append(Text(f"{linked} sites share stories with others and stay with them, in {groups} groups"))
    lines.append(_shared_stories(split.shared_stories()))
    if split.left_out:
        left_out = f"{len(split.left_out)} pages are in no part: they are of the wrong days, or have no date"
        lines.append(Text(left_out, "yellow"))
    lines += [Text(f"warning: {warning}", "yellow") for warning in split.warnings()]
    return Group(table, *lines)


def _shared_stories(pages: int) -> Text:
    return Text(f"pages of different parts that share a story: {pages}", "red" if pages else "green")


def leakage_view(report: LeakReport, sharing_pages: int) -> RenderableType:
    """Copies between parts by role, and what many sites rightly share.

    Args:
        report: What leaked from which part into which.
        sharing_pages: The number of pages of different parts that share a story.
    """
    table = columns("from", "into", "role", "exact", "near", "of", "share", "shared phrases", left=3)
    for row in report.rows():
        alarming = row["role"] != "boilerplate" and row["share"] > 0.01
        style = "red" if alarming else "yellow" if row["exact"] + row["near"] else None
        counts = [f"{row[name]:,}" for name in ("exact", "near", "of", "shared_phrases")]
        counts.insert(3, f"{row['share']:.2%}")
        table.add_row(row["from"], row["into"], row["role"], *counts, style=style)
    lines = [
        Text(f"{kind} {role}, {source} {one} -> {into} {other}: {shortened(text, 70)}", "dim")
        for (source, into, role, kind), examples in sorted(report.examples.items())
        for one, other, text in examples[:1]
    ]
    rightly = "shared phrases: boilerplate, or fewer than 8 words of any role, on 3 sites or more; rightly shared, and "
    return Group(table, *lines, _shared_stories(sharing_pages), Text(f"{rightly}left out"))


def with_and_without_view(whole: Mapping[str, float], kept: Mapping[str, float], segments: int) -> RenderableType:
    """Test scores with all segments and without the leaked ones.

    Args:
        whole: Metric -> score on all segments.
        kept: Metric -> score without the leaked segments.
        segments: The number of leaked segments.
    """
    title = f"Test scores with and without {segments:,} leaked segments"
    table = framed(title, "score", "with", "without", "difference")
    for name, value in whole.items():
        if name in kept:
            table.add_row(name, f"{value:.4f}", f"{kept[name]:.4f}", f"{kept[name] - value:+.4f}")
    return table

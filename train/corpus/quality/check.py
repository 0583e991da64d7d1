"""Named rules over a corpus: what is refused goes to a quarantine file and is counted, the rest is kept."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from train.common.errors import InputError
from train.common.files import write_json, written_aside
from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import Page
from train.corpus.quality.rules import CORPUS_RULES, PAGE_RULES, CorpusWatch
from train.corpus.read import Refusal, scan, unique, write_pages
from train.corpus.sources import digest, locate
from train.runtime.text import ROLES

WARNINGS: dict[str, str] = {name: says for name, (says, _) in PAGE_RULES.items()} | CORPUS_RULES
"""Rules that may be broken and nothing is refused: name -> what it says."""


@dataclass
class CheckReport:
    """What a check found. What was read is kept, quarantined or passed over, pages and rows alike: `read == kept +
    sum(errors.values()) + sum(passed_over.values())`; so are the rows of a table: `segments + segments_refused` and its
    blank lines.

    Args:
        path: The corpus, as the user named it.
        sha256: The sha256 of the file's bytes (of a folder: over its files).
        lines: Number of pages in it: non-blank lines, tasks, files or pages of a table, by source.
        kept: Number of pages kept.
        passed_over: What is no page and need not be, such as blank lines or files that are not HTML -> how many.
        read: Number of pages and of what was passed over.
        segments: Number of segments of kept pages.
        segments_refused: Number of segments of quarantined pages, as far as they could be read.
        sites: Number of sites of kept pages.
        roles: Role -> number of segments of kept pages.
        topics: Topic -> number of segments of kept pages.
        errors: Rule -> number of quarantined pages.
        warnings: Warning rule -> number of pages, sites, roles or topics that break it. A page may count under several.
        examples: First message of each error rule, and what first broke each warning rule.
        quarantine: The file of what was refused, or None.
    """

    path: str
    sha256: str
    lines: int = 0
    kept: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    read: int = 0
    segments: int = 0
    segments_refused: int = 0
    sites: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    topics: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    quarantine: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in self.__dict__.items()}


def check_corpus(
    corpus: str | Path,
    *,
    quarantine: Path,
    keep: Path | None = None,
    report: Path | None = None,
    naming: ColumnMapping | None = None,
    labelled: bool = True,
    on_page: Callable[[Page], object] | None = None,
) -> CheckReport:
    """Reads a corpus to its end, whatever is in it, with one page in memory at a time.

    Args:
        corpus: A path or `SOURCE:PATH`.
        quarantine: JSON lines of what was refused, `{"line", "rule", "message", "path", "record"}`; written only when
            there is some, and a stale one is removed.
        keep: Where to write the kept pages, in the format its suffix names.
        report: Where to write the report as JSON.
        naming: How its columns and labels become ours.
        labelled: Whether roles and sites are required.
        on_page: Is given each kept page.

    Raises:
        InputError: The corpus as a whole cannot be read, has no page, or an output would be written over it.
    """
    _require_apart(corpus, quarantine, keep, report)
    checked = CheckReport(str(corpus), digest(corpus))
    checked.roles.update({role: 0 for role in ROLES})
    watch = CorpusWatch()
    with written_aside(quarantine) as aside, aside.open("wb") as refused:
        pages = _kept(
            scan(corpus, labelled=labelled, naming=naming, passed_over=checked.passed_over),
            checked,
            watch,
            refused,
            corpus,
        )
        seen = _watched(pages, on_page) if on_page else pages
        if keep is not None:
            write_pages(keep, seen)
        else:
            deque(seen, maxlen=0)
    checked.read = checked.lines + checked.passed_over.total()
    if not checked.lines:
        quarantine.unlink()
        what = ", ".join(f"{count:,} × {what}" for what, count in checked.passed_over.most_common(5))
        raise InputError(
            f"no page in it{what and f', but {what}'}",
            expected="at least one page",
            remedy="check the export",
            path=corpus,
            rule="empty-corpus",
        )
    if not checked.errors:
        quarantine.unlink()
    else:
        checked.quarantine = str(quarantine)
    if labelled:
        for rule, what in watch.findings():
            checked.warnings[rule] += 1
            checked.examples.setdefault(rule, what)
    checked.sites = watch.sites
    if report is not None:
        write_json(report, checked.to_json())
    return checked


def _require_apart(corpus: str | Path, *outputs: Path | None) -> None:
    """Refuses to write over the corpus, or one output over the other."""
    _, source = locate(corpus)
    taken = {source.resolve()}
    for output in outputs:
        if output is None:
            continue
        place = output.resolve()
        if place in taken or output.is_dir():
            what = "a folder" if output.is_dir() else "the corpus" if place == source.resolve() else "another output"
            raise InputError(
                f"the path of an output is {what}",
                expected="a file of its own for quarantine, kept pages and report",
                remedy="name another",
                path=output,
                rule="same-path",
            )
        taken.add(place)


def _kept(
    scanned: Iterator[tuple[int, Page | Refusal]],
    checked: CheckReport,
    watch: CorpusWatch,
    refused: BinaryIO,
    corpus: str | Path,
) -> Iterator[Page]:
    for line, item in unique(scanned, corpus):
        checked.lines += 1
        if isinstance(item, Refusal):
            error = item.error
            checked.errors[error.rule] += 1
            checked.examples.setdefault(error.rule, str(error).splitlines()[0])
            refused.write(item.row(line))
            segments = item.record.get("segments") if isinstance(item.record, dict) else None
            checked.segments_refused += len(segments) if isinstance(segments, list) else 0
            continue
        checked.kept += 1
        checked.segments += len(item.segments)
        checked.roles.update(str(s.role) for s in item.segments if s.role is not None)
        checked.topics.update(s.topic for s in item.segments if s.topic is not None)
        _warn(item, checked, watch)
        yield item


def _warn(page: Page, checked: CheckReport, watch: CorpusWatch) -> None:
    broken = [
        (rule, page.page_id)
        for rule, (_, breaks) in PAGE_RULES.items()
        if (page.labelled or "main" not in rule) and breaks(page)
    ]
    earlier = watch.page(page)
    if earlier is not None:
        broken.append(("same-page", f"{page.page_id}, as {earlier}"))
    for rule, what in broken:
        checked.warnings[rule] += 1
        checked.examples.setdefault(rule, what)


def _watched(pages: Iterator[Page], on_page: Callable[[Page], object]) -> Iterator[Page]:
    for page in pages:
        on_page(page)
        yield page


def require_roles(pages: Sequence[Page], what: str) -> None:
    """Refuses a training set that a classifier cannot learn from.

    Args:
        pages: The training pages.
        what: What they are called in the message, e.g. `training`.

    Raises:
        InputError: Fewer than two roles are in it.
    """
    roles = {s.role for page in pages for s in page.segments}
    if len(roles) < 2:
        only = next(iter(roles), None)
        raise InputError(
            f"every segment of the {what} pages is {only!r}" if only else f"no {what} pages",
            expected=f"at least two of the roles {', '.join(ROLES)}",
            remedy="add pages with the other roles, or check how the labels were mapped",
            rule="one-class",
        )

"""Named rules over a corpus: what is refused goes to a quarantine file and is counted, the rest is kept."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train.corpus.page import Page
from train.corpus.read import Refusal, duplicate_page, scan, write_pages
from train.errors import InputError
from train.files import sha256_file, write_json, written_aside
from train.runtime.reading import ROLES, clean

WARNINGS: dict[str, tuple[str, Callable[[Page], bool]]] = {
    "no-main": ("page without a main segment", lambda page: all(s.role != "main" for s in page.segments)),
    "empty-segment": ("page with a segment that has no visible text", lambda page: any(not clean(s.text) for s in page.segments)),
    "one-segment": ("page of a single segment: it has no context to read", lambda page: len(page.segments) == 1),
    "long-segment": ("page with a segment over 50,000 characters", lambda page: any(len(s.text) > 50_000 for s in page.segments)),
    "encoding-debris": (
        "page with encoding debris (U+FFFD, Ã¤, â€™)",
        lambda page: any(mark in s.text for s in page.segments for mark in ("\ufffd", "Ã¤", "Ã¼", "â€™", "â€œ")),
    ),
    "story-without-number": (
        "page with a related segment that has no story number",
        lambda page: any(s.role == "related" and s.story is None for s in page.segments),
    ),
}
"""Rules that a page may break and still be kept: name -> (what it says, test)."""


@dataclass
class CheckReport:
    """What a check found. Every line is kept or quarantined: `lines == kept + sum(errors.values())`.

    Args:
        path: The corpus.
        sha256: Of the file's bytes.
        lines: Non-blank lines (rows) in it.
        kept: Pages kept.
        errors: Quarantined lines by rule.
        warnings: Kept pages by warning rule; a page may count under several.
        examples: First message of each error rule, and first page id of each warning rule.
    """

    path: str
    sha256: str
    lines: int = 0
    kept: int = 0
    segments: int = 0
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


def check_corpus(path: Path, *, quarantine: Path, keep: Path | None = None, report: Path | None = None) -> tuple[CheckReport, list[Page]]:
    """Reads a corpus to its end, whatever is in it.

    Args:
        path: The corpus.
        quarantine: JSON lines of what was refused, `{"line", "rule", "message", "record"}`; written only when there is some,
            and a stale one is removed.
        keep: Where to write the kept pages, in the format its suffix names.
        report: Where to write the report as JSON.

    Returns:
        The report, and the kept pages.

    Raises:
        InputError: The file as a whole cannot be read.
    """
    found = CheckReport(str(path), "")
    pages: list[Page] = []
    refused: list[dict[str, Any]] = []
    first: dict[str, int] = {}
    for line, item in scan(path, labelled=True):
        found.lines += 1
        if isinstance(item, Page) and item.page_id in first:
            item = Refusal(duplicate_page(item.page_id, first[item.page_id], path, line), item.to_json())
        if isinstance(item, Refusal):
            found.errors[item.error.rule] += 1
            found.examples.setdefault(item.error.rule, str(item.error).splitlines()[0])
            refused.append({"line": line, "rule": item.error.rule, "message": item.error.found, "record": item.record})
            continue
        first[item.page_id] = line
        pages.append(item)
        for rule, (_, breaks) in WARNINGS.items():
            if breaks(item):
                found.warnings[rule] += 1
                found.examples.setdefault(rule, item.page_id)
    found.sha256 = sha256_file(path)
    found.kept, found.sites = len(pages), len({page.site for page in pages})
    found.segments = sum(len(page.segments) for page in pages)
    found.roles.update({role: 0 for role in ROLES})
    found.roles.update(str(s.role) for page in pages for s in page.segments)
    found.topics.update(s.topic for page in pages for s in page.segments if s.topic is not None)
    if refused:
        found.quarantine = str(quarantine)
        with written_aside(quarantine) as aside, aside.open("wb") as file:
            for record in refused:
                file.write(json.dumps(record, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n")
    else:
        quarantine.unlink(missing_ok=True)
    if keep is not None:
        write_pages(keep, pages)
    if report is not None:
        write_json(report, found.to_json())
    return found, pages


def require_roles(pages: list[Page], what: str) -> None:
    """Refuses a training set that a classifier cannot learn from.

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

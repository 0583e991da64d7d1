"""Reading a corpus: every line becomes a page or a counted refusal; nothing disappears."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import LABELS, Page, parse_page
from train.corpus.sources import jsonl, locate, parquet
from train.corpus.sources.html_blocks import PassedOver


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is not a page.

    Args:
        error: Why, with path, line and rule.
        record: The decoded record, or None when the line could not be decoded.
    """

    error: InputError
    record: Any

    def row(self, line: int) -> bytes:
        """The line of a quarantine file that tells of it: `{"line", "rule", "message", "path", "record"}`."""
        error = self.error
        entry = {
            "line": line,
            "rule": error.rule,
            "message": error.found,
            "path": str(error.path),
            "record": self.record,
        }
        return jsonl.line_of(entry, (", ", ": "))


def scan(
    corpus: str | Path,
    *,
    labelled: bool | None,
    naming: ColumnMapping | None = None,
    passed_over: Counter[str] | None = None,
) -> Iterator[tuple[int, Page | Refusal]]:
    """Streams a corpus: `(line, page or refusal)` for every page, in order; one page is in memory at a time.

    Args:
        corpus: A path or `SOURCE:PATH` (`train.corpus.sources`).
        labelled: Whether roles and sites are required; None passes over labels, whatever they are.
        naming: Maps its columns and labels to ours.
        passed_over: Counts, by what it is, what is no page and need not be: blank lines, files that are not HTML.

    Raises:
        InputError: It is missing, of unknown format, or broken as a whole.
    """
    source, path = locate(corpus)
    for line, record in source.rows(path, naming or ColumnMapping()):
        if isinstance(record, PassedOver):
            if passed_over is not None:
                passed_over[record.what] += 1
            continue
        if isinstance(record, InputError):
            yield line, Refusal(record, record.record)
            continue
        try:
            yield line, parse_page(_unlabelled(record) if labelled is None else record, labelled=bool(labelled))
        except InputError as error:
            yield line, Refusal(error.at(path, line), record)


def _unlabelled(record: Any) -> Any:
    """A record without its labels, where it has the shape of a page."""
    if not isinstance(record, dict) or not isinstance(record.get("segments"), list):
        return record
    bare = [{k: v for k, v in s.items() if k not in LABELS} if isinstance(s, dict) else s for s in record["segments"]]
    return {**record, "segments": bare}


@dataclass(frozen=True)
class Corpus:
    """The pages of a corpus, read anew each time they are iterated over: any number of them in little memory.

    Args:
        path: A path or `SOURCE:PATH` (`train.corpus.sources`).
        naming: Maps its columns and labels to ours.
        labelled: Whether roles and sites are required; None passes over labels, whatever they are.
        skip_refused: Pass over what `check` quarantines, instead of raising it.
    """

    path: str | Path
    naming: ColumnMapping | None = None
    labelled: bool | None = True
    skip_refused: bool = False

    def __iter__(self) -> Iterator[Page]:
        for _, item in unique(scan(self.path, labelled=self.labelled, naming=self.naming), self.path):
            if isinstance(item, Page):
                yield item
            elif not self.skip_refused:
                raise item.error


def read_pages(path: str | Path, *, labelled: bool = True, naming: ColumnMapping | None = None) -> list[Page]:
    """All pages of a corpus.

    Args:
        path: A path or `SOURCE:PATH`.
        labelled: Whether roles and sites are required.
        naming: Maps its columns and labels to ours.

    Raises:
        InputError: At the first line that is not a page, a page id that comes twice, or when there is no page at all.
    """
    pages = list(Corpus(path, naming, labelled))
    if not pages:
        raise InputError(
            "no page in it",
            expected="at least one page, one JSON object a line",
            remedy="check the export",
            path=path,
            rule="empty-corpus",
        )
    return pages


def unique(scanned: Iterable[tuple[int, Page | Refusal]], path: str | Path) -> Iterator[tuple[int, Page | Refusal]]:
    """Passes pages on, and refuses those whose id came before; every id is kept in memory.

    Args:
        scanned: What `scan` yields.
        path: The corpus, for messages.
    """
    first: dict[str, int] = {}
    for line, item in scanned:
        if isinstance(item, Page) and item.page_id in first:
            item = Refusal(_duplicate_page(item.page_id, first[item.page_id], path, line), item.to_json())
        elif isinstance(item, Page):
            first[item.page_id] = line
        yield line, item


def _duplicate_page(page_id: str, first: int, path: str | Path, line: int) -> InputError:
    """The refusal of a page id that was there before."""
    return InputError(
        f"page_id {page_id!r} was on line {first} already",
        expected="every page once",
        remedy="delete one, or give it an id of its own",
        path=path,
        line=line,
        rule="duplicate-page",
    )


def write_pages(path: Path, pages: Iterable[Page]) -> int:
    """Writes pages as `.jsonl`, `.jsonl.gz` or `.parquet`, whole or not at all; returns their number.

    Args:
        path: The file; its suffix names the format.
        pages: The pages, in order.

    Raises:
        InputError: The suffix is another.
    """
    name = path.name.lower()
    if not name.endswith((".jsonl", ".jsonl.gz", ".parquet")):
        raise InputError(
            f"a file named {path.name!r}",
            expected="a name that ends in .jsonl, .jsonl.gz or .parquet",
            remedy="name it so",
            path=path,
            rule="unknown-format",
        )
    write = parquet.write if name.endswith(".parquet") else jsonl.write
    return write(path, (page.to_json() for page in pages))

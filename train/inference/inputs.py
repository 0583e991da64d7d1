"""Files in, records out: what `predict`, `show` and `evaluate` share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import tee
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.page import Page, Segment
from train.corpus.read import Refusal, scan
from train.runtime import Labeler
from train.runtime.text import split_text

STDIN = "-"


def label_pairs(labeler: Labeler, pages: Iterable[Page]) -> Iterator[tuple[Page, dict[str, Any]]]:
    """Yields each page with its record; a batch of pages is in memory.

    Args:
        labeler: The model.
        pages: The pages to label, in any number.
    """
    shown, read = tee(pages)
    return zip(shown, labeler.label((page.page_id, page.texts) for page in read), strict=True)


def read_texts(files: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yields `(page_id, segment texts)` of each page of `read_files`."""
    return ((page.page_id, page.texts) for page in read_files(files))


def read_files(files: Sequence[str], *, labels: bool = False) -> Iterator[Page]:
    """Yields the pages of files, labelled or not.

    Args:
        files: `.txt` holds one page, a segment a line, empty lines ignored, named by the file's stem; `-` is such a
            page on standard input; `.jsonl`, `.jsonl.gz` and `.parquet` hold pages, labelled or not.
        labels: Keep labels, which must then be right; they are passed over otherwise.

    Raises:
        InputError: A file is missing, of unknown format, not UTF-8, or holds a line that is no page.
    """
    for name in files:
        path = Path(name)
        if name == STDIN or name.lower().endswith(".txt"):
            yield Page(path.stem if name != STDIN else "stdin", "", tuple(Segment(text, None) for text in _lines(name)))
            continue
        for _, item in scan(path, labelled=False if labels else None):
            if isinstance(item, Refusal):
                raise item.error
            yield item


def _lines(name: str) -> list[str]:
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(
            "no such file",
            expected="a page's text, a segment a line",
            remedy="check the path",
            path=name,
            rule="no-file",
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"bytes that are not UTF-8: {error.reason} at byte {error.start}",
            expected="UTF-8 text",
            remedy="save the file as UTF-8",
            path=name,
            rule="bad-encoding",
        ) from None
    return split_text(text)

"""Parts of labelled pages and their records, to be scored by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from train.corpus.page import Page


def drop_segments(
    pages: Sequence[Page], records: Iterable[Mapping[str, Any]], left_out: Mapping[str, Iterable[int]]
) -> tuple[list[Page], list[dict[str, Any]]]:
    """Pages and records without some segments, to score what remains.

    Args:
        pages: Gold pages.
        records: One record a page, in any order.
        left_out: Page id -> indices of segments to leave out; a page with none left is left out.
    """
    by_id = {record["page_id"]: record for record in records}
    kept_pages, kept_records = [], []
    for page in pages:
        gone = set(left_out.get(page.page_id, ()))
        places = [i for i in range(len(page.segments)) if i not in gone]
        if not places:
            continue
        record = by_id[page.page_id]
        new = {old: i for i, old in enumerate(places)}
        stories = [
            {**story, "segments": [new[i] for i in story["segments"] if i in new]} for story in record["stories"]
        ]
        kept_pages.append(page.with_segments(tuple(page.segments[i] for i in places)))
        kept_records.append(
            {
                **record,
                "segments": [record["segments"][i] for i in places],
                "stories": [story for story in stories if story["segments"]],
            }
        )
    return kept_pages, kept_records

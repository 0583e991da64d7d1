"""The table of public collections in the terminal, and what came of fetching one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table as Grid

from train.corpus.collections.table import Table


def collections_view(table: Table, fetched: Mapping[str, Mapping[str, Any] | None]) -> RenderableType:
    """The table: each collection's licence, labels, and how many of its pages are there.

    Args:
        table: The collections.
        fetched: Name -> the provenance of its corpus, or None.
    """
    grid = Grid("name", "pages", "licence", "labels", "mind", "repository")
    for name, one in table.collections.items():
        made = fetched[name]
        kept = "-" if made is None else f"{made['kept']:,}"
        where = f"{one.repository.removeprefix('https://')} {one.commit[:12]}"
        grid.add_row(name, kept, *map(escape, (one.licence, one.labels, one.caveat, where)))
    return grid


def collection_view(name: str, made: Mapping[str, Any], *, is_new: bool) -> str:
    """What came of fetching a collection: its licence and caveat, and where each of its pages went.

    Args:
        name: The collection's name.
        made: The provenance of its corpus.
        is_new: Whether it was made just now.
    """
    one = made["collection"]
    sums = (_sum(made["refused"], "refused"), _sum(made["passed_over"], "passed over"))
    told = f"{made['read']:,} read = {made['kept']:,} kept + {' + '.join(sums)}; {made['sites']:,} sites"
    return escape(
        f"{name}{'' if is_new else ' (unchanged)'}: {told}\n"
        f"  licence {one['licence']}, {one['repository']} at {one['commit'][:12]}\n"
        f"  labels: {one['labels']}. {one['caveat']}"
    )


def _sum(counts: Mapping[str, int], what: str) -> str:
    """A number of pages and what it is made of."""
    named = ", ".join(f"{reason} {count:,}" for reason, count in sorted(counts.items()))
    return f"{sum(counts.values()):,} {what}{f' ({named})' if named else ''}"

"""Markdown that we write: its tables, and text that came with the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def plain(value: str) -> str:
    """The value on one line, shown as it is: no mark-up, no link, no HTML, no table cell of its own."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+!|&" else c for c in " ".join(value.split()))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table that ends with a newline.

    Args:
        header: The heading of each column, as Markdown.
        rows: The cells of each row, as Markdown, one for each column; text that came with the data goes through `plain`
            before, which keeps it within its cell.
    """
    lines = [_line(header), "|---" * len(header) + "|", *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

"""Text that came with the data, in Markdown that we write."""

from __future__ import annotations


def plain(value: str) -> str:
    """The value on one line, shown as it is: no mark-up, no link, no HTML, no table cell of its own."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>#+!|&" else c for c in " ".join(value.split()))

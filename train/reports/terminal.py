"""What all views of a terminal share: the signs of roles, plain tables and shortened texts."""

from __future__ import annotations

from rich.table import Table

STYLE = {"main": ("█", "bold green"), "related": ("▒", "yellow"), "boilerplate": ("·", "bright_black")}
"""Sign and colour of each role: the sign alone must tell it too."""


def columns(*headings: str, left: int = 1, title: str | None = None, wrap: bool = True) -> Table:
    """A table without a frame, to be filled.

    Args:
        headings: The heading of each column.
        left: So many columns stand left, those behind them right.
        title: Stands above the table.
        wrap: Whether a cell that is too long goes on in a second line; otherwise it is cut.
    """
    table = Table(box=None, header_style="dim", pad_edge=False, title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < left else "right", no_wrap=not wrap)
    return table


def framed(title: str, *headings: str) -> Table:
    """A table with a frame and a title, to be filled; its first column stands left, the others right.

    Args:
        title: Stands above the table.
        *headings: The heading of each column.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left")
    return table


def shortened(text: str, width: int) -> str:
    """A `text` in one line of `width` characters at most."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"

"""`make drift` as a static HTML page and in the terminal: what has changed, how much, and how much would be usual."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from train.monitoring.drift import LEAST_INDEX, Drift, Shift
from train.reports.figures import shares
from train.reports.html import write_page
from train.reports.terminal import columns


def write_drift_page(path: Path, shifts: Sequence[Shift], *, model: str, corpus: str, pages: int, sites: int) -> None:
    """Writes the comparison of new pages with a model's reference; the shifts stand in their order.

    Args:
        path: The HTML file to write.
        shifts: Feature by feature, how far it has shifted.
        model: The model's family and version.
        corpus: The new pages, as the user named them.
        pages: The number of new pages.
        sites: The number of sites they come from.
    """
    write_page(
        path,
        "Drift",
        template="drift.html",
        shifted=[shift.feature for shift in shifts if shift.shifted],
        rows=[[s.feature, s.psi, s.usual, s.js, "shifted" if s.shifted else ""] for s in shifts],
        drawings=[shares({"reference": s.before, "new pages": s.now}, s.bins, s.feature) for s in shifts],
        least_index=LEAST_INDEX,
        model=model,
        corpus=corpus,
        pages=pages,
        sites=sites,
    )


def drift_view(drift: Drift) -> RenderableType:
    """What has shifted, feature by feature."""
    title = f"{drift.pages:,} pages of {drift.sites:,} sites beside the reference of {drift.model}"
    table = columns("feature", "PSI", "usual below", "Jensen-Shannon", "", "most changed", title=title)
    for column in table.columns[4:]:
        column.justify = "left"
    for shift in drift.shifts:
        _, name, before, now = max(
            (abs(n - b), name, b, n) for name, b, n in zip(shift.bins, shift.before, shift.now, strict=True)
        )
        mark = Text("shifted", "bold red") if shift.shifted else Text()
        most = escape(f"{name}: {before:.0%} to {now:.0%}")
        table.add_row(shift.feature, f"{shift.psi:.3f}", f"{shift.usual:.3f}", f"{shift.js:.3f}", mark, most)
    return table

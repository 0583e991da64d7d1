"""`make drift` as a static HTML page: what has changed, how much, and how much would be usual."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from train.monitoring.drift import LEAST_INDEX, Shift
from train.reports.figures import gallery, shares
from train.reports.html import escape, table, write_page


def write_drift_page(path: Path, shifts: Sequence[Shift], *, model: str, corpus: str, pages: int, sites: int) -> None:
    """Writes the comparison; what is shifted stands first."""
    shifted = [shift.feature for shift in shifts if shift.shifted]
    verdict = f"Shifted: {', '.join(shifted)}." if shifted else "No shift found."
    parts = [
        f'<p class="{"bad" if shifted else ""}"><b>{escape(verdict)}</b></p>',
        f"<p>{pages:,} pages of {sites:,} sites of {escape(corpus)}, beside the unseen pages {escape(model)} was "
        "tested on. A feature is called "
        f"shifted when its population stability index (PSI) is above {LEAST_INDEX:g} and above what samples of about "
        "as many sites of the "
        "reference show in 99 % of cases, all features together. Few sites make this bound wide: then a shift may "
        "hide.</p>",
        table(
            ["feature", "PSI", "usual below", "Jensen-Shannon", ""],
            [[s.feature, s.psi, s.usual, s.js, "shifted" if s.shifted else ""] for s in shifts],
        ),
        gallery(*(shares({"reference": s.before, "new pages": s.now}, s.bins, s.feature) for s in shifts)),
    ]
    write_page(path, "Drift", parts)

"""A search over settings in the terminal: its best trials, and which settings mattered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from train.reports.terminal import columns


def tuned_view(
    trials: Sequence[Mapping[str, Any]], importances: Mapping[str, float], metric: str, *, most: int = 10
) -> RenderableType:
    """The best trials of a search, and what mattered.

    Args:
        trials: `{"number", "state", "score", "values"}` of each trial; the score is None where there is none.
        importances: Config key -> its share of the score's variance.
        metric: What the score is called.
        most: So many trials are shown.
    """
    best = sorted(
        trials, key=lambda t: (t["state"] == "complete", t["score"] if t["score"] is not None else -1), reverse=True
    )[:most]
    keys = list(dict.fromkeys(key for trial in best for key in trial["values"]))
    table = columns("trial", metric, "state", *(key.rpartition(".")[2] for key in keys), left=0)
    for trial in best:
        score = "-" if trial["score"] is None else f"{trial['score']:.4f}"
        table.add_row(str(trial["number"]), score, trial["state"], *(_value(trial["values"].get(key)) for key in keys))
    states = Counter(trial["state"] for trial in trials)
    lines = [Text(", ".join(f"{count} {state}" for state, count in states.most_common()), "dim")]
    if importances:
        by_share = sorted(importances.items(), key=lambda item: -item[1])
        shares = ", ".join(f"{key} {share:.0%}" for key, share in by_share)
        lines.append(Text(f"share of the score's variance: {shares}", "dim"))
    return Group(table, *lines)


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)

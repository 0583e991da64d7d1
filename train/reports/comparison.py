"""`make compare`: runs side by side, as the terminal shows them and as a static page with what they read
differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.markup import escape as markup
from rich.table import Table
from rich.text import Text

from train.evaluation.metrics import COSTS, KEY_METRICS, TOPIC_METRICS, Evaluation
from train.reports.figures import gallery
from train.reports.html import SHOWN_CHARS, escape, table, write_page
from train.reports.run_figures import cost_figure
from train.reports.run_report import cost as told_cost

SHOWN_PAGES, SHOWN_SEGMENTS = 30, 60


@dataclass(frozen=True)
class Change:
    """A segment that runs read differently.

    Args:
        text: Its text.
        gold: Its role.
        roles: By each run.
    """

    text: str
    gold: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """Some runs on the same pages.

    Args:
        names: Of the runs; the first is what the others are compared with.
        metrics: The metrics of each run, under their names in MLflow.
        run_ids: The MLflow run of each; None where it was not tracked.
        scores: Of each.
        gains: Of each but the first: how much better it is, paired by site.
        changes: Page -> segments that not all runs read alike, the page with the most first.
        n_pages: Pages scored.
        n_sites: Of these.
    """

    names: Sequence[str]
    metrics: Sequence[Mapping[str, float]]
    run_ids: Sequence[str | None]
    scores: Sequence[Evaluation]
    gains: Sequence[Evaluation]
    changes: Mapping[str, Sequence[Change]]
    n_pages: int
    n_sites: int


def heading(compared: Compared) -> list[str]:
    """Headings of `rows`."""
    first, *others = compared.names
    return ["", first, *(name for other in others for name in (other, f"less {first}"))]


def rows(compared: Compared) -> list[list[str]]:
    """Scores and costs, a line each: of the first run, then of each other and how much it is better; ● marks intervals
    without 0."""
    answer = []
    shown = {**KEY_METRICS, **TOPIC_METRICS}
    for metric, name in shown.items():
        values = [scores.values.get(metric) for scores in compared.scores]
        if all(value is None for value in values):
            continue
        line = [name, _value(values[0])]
        for value, gained in zip(values[1:], compared.gains, strict=True):
            line += [_value(value), _difference(gained, metric)]
        answer.append(line)
    for metric, name in COSTS.items():
        costs = [metrics.get(metric) for metrics in compared.metrics]
        line = [name, told_cost(costs[0])]
        for cost in costs[1:]:
            times = f"{cost / costs[0]:.2f} times" if cost is not None and costs[0] else ""
            line += [told_cost(cost), times]
        answer.append(line)
    return answer


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _difference(gained: Evaluation, metric: str) -> str:
    if metric not in gained.values:
        return ""
    low, high = gained.intervals[metric]
    return f"{gained.values[metric]:+.3f} ({low:+.3f} to {high:+.3f}){' ●' if low > 0 or high < 0 else ''}"


def compared_view(compared: Compared) -> RenderableType:
    """The table for a terminal."""
    shown = Table(title=_title(compared), title_justify="left", title_style="bold")
    for i, name in enumerate(heading(compared)):
        shown.add_column(markup(name), justify="right" if i else "left")
    for line in rows(compared):
        shown.add_row(*line)
    changed = sum(map(len, compared.changes.values()))
    told = (
        f"{changed:,} segments of {len(compared.changes):,} pages are not read alike. ● the 95 % interval over "
        "sites, paired, holds no 0."
    )
    return Group(shown, Text(told))


def _title(compared: Compared) -> str:
    return f"{compared.n_pages:,} test pages of {compared.n_sites:,} unseen sites"


def write_comparison(path: Path, compared: Compared) -> None:
    """Writes the same as HTML, with the pages that changed most and each segment that is not read alike."""
    parts = [
        f"<p>{escape(_title(compared))}. ● marks differences whose 95 % interval over sites, paired, holds no 0.</p>",
        table(heading(compared), rows(compared)),
        gallery(
            *(
                cost_figure(known, f"Score over {name}", along=name)
                for metric, name in COSTS.items()
                if (known := _costs(compared, metric))
            )
        ),
        f"<h2>Not read alike: {len(compared.changes):,} pages, the first "
        f"{min(SHOWN_PAGES, len(compared.changes))}</h2>",
    ]
    for page_id, changes in list(compared.changes.items())[:SHOWN_PAGES]:
        right = ", ".join(
            f"{name} right in {sum(c.roles[i] == c.gold for c in changes)}" for i, name in enumerate(compared.names)
        )
        parts.append(f"<details><summary>{escape(page_id)}: {len(changes)} segments, {escape(right)}</summary>")
        parts.append(
            table(["labelled", *compared.names, "segment"], [_row(change) for change in changes[:SHOWN_SEGMENTS]])
        )
        parts.append("</details>")
    write_page(path, f"Runs compared: {', '.join(compared.names)}", parts)


def _costs(compared: Compared, metric: str) -> list[tuple[str, float, float, float, float]]:
    """Name, cost, score and its interval, of runs that know what they cost."""
    found = []
    for name, metrics, scores in zip(compared.names, compared.metrics, compared.scores, strict=True):
        value, score = metrics.get(metric, 0.0), scores.values["role/macro_f1"]
        if value > 0:
            found.append((name, value, score, *scores.intervals.get("role/macro_f1", (score, score))))
    return found


def verdicts(compared: Compared) -> list[str]:
    """How much better each run than the first is, a sentence each."""
    metric = "role/macro_f1"
    return [
        f"{name} less {compared.names[0]}: role macro-F1 {_difference(gained, metric)}, paired over "
        f"{compared.n_sites:,} sites"
        for name, gained in zip(compared.names[1:], compared.gains, strict=True)
    ]


def _row(change: Change) -> Sequence[str]:
    text = " ".join(change.text.split())
    return [change.gold, *change.roles, text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]} …"]

"""`make compare`: runs side by side, as the terminal shows them and as a static page with what they read
differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from train.common import markdown
from train.evaluation.metrics import COSTS, KEY_METRICS, TOPIC_METRICS, Evaluation
from train.reports.html import clipped, write_page
from train.reports.run_figures import cost_figure
from train.reports.run_report import cost
from train.reports.terminal import framed

SHOWN_PAGES, SHOWN_SEGMENTS, SHOWN_CHARS = 30, 60, 600


@dataclass(frozen=True)
class Change:
    """A segment that runs read differently.

    Args:
        text: The segment's text.
        gold: The role it is labelled with.
        roles: The role that each run gives it.
    """

    text: str
    gold: str
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Compared:
    """Some runs on the same pages.

    Args:
        names: The name of each run; the others are compared with the first.
        metrics: The metrics of each run, under their names in MLflow.
        run_ids: The MLflow run id of each run; None where it was not tracked.
        scores: The test scores of each run.
        gains: How much better each run but the first is than the first, paired by site.
        changes: Page id -> the segments that not all runs read alike, the page with the most first.
        n_pages: The number of pages scored.
        n_sites: The number of sites that these pages come from.
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
    """The headings of the columns of `rows`."""
    first, *others = compared.names
    return ["", first, *(name for other in others for name in (other, f"less {first}"))]


def rows(compared: Compared) -> list[list[str]]:
    """Scores and costs, a line each: of the first run, then of each other and how much it is better; ● marks intervals
    without 0."""
    lines = []
    shown = {**KEY_METRICS, **TOPIC_METRICS}
    for metric, name in shown.items():
        values = [scores.values.get(metric) for scores in compared.scores]
        if all(value is None for value in values):
            continue
        line = [name, _value(values[0])]
        for value, gained in zip(values[1:], compared.gains, strict=True):
            line += [_value(value), _difference(gained, metric)]
        lines.append(line)
    for metric, name in COSTS.items():
        costs = [metrics.get(metric) for metrics in compared.metrics]
        line = [name, cost(costs[0])]
        for value in costs[1:]:
            times = f"{value / costs[0]:.2f} times" if value is not None and costs[0] else ""
            line += [cost(value), times]
        lines.append(line)
    return lines


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _difference(gained: Evaluation, metric: str) -> str:
    if metric not in gained.values:
        return ""
    low, high = gained.intervals[metric]
    return f"{gained.values[metric]:+.3f} ({low:+.3f} to {high:+.3f}){' ●' if low > 0 or high < 0 else ''}"


def compared_view(compared: Compared) -> RenderableType:
    """The table for a terminal."""
    table = framed(_title(compared), *map(escape, heading(compared)))
    for line in rows(compared):
        table.add_row(*line)
    changed = sum(map(len, compared.changes.values()))
    note = (
        f"{changed:,} segments of {len(compared.changes):,} pages are not read alike. ● the 95 % interval over "
        "sites, paired, holds no 0."
    )
    return Group(table, Text(note))


def _title(compared: Compared) -> str:
    return f"{compared.n_pages:,} test pages of {compared.n_sites:,} unseen sites"


def write_comparison(path: Path, compared: Compared) -> None:
    """Writes the same as HTML, with the pages that changed most and each segment that is not read alike.

    Args:
        path: The HTML file to write.
        compared: The runs.
    """
    costs = {name: known for metric, name in COSTS.items() if (known := _costs(compared, metric))}
    write_page(
        path,
        f"Runs compared: {', '.join(compared.names)}",
        template="comparison.html",
        subtitle=_title(compared),
        names=list(compared.names),
        heading=heading(compared),
        rows=rows(compared),
        drawings=[cost_figure(known, f"Score over {name}", along=name) for name, known in costs.items()],
        changed=len(compared.changes),
        pages=[_page(compared, page_id) for page_id in list(compared.changes)[:SHOWN_PAGES]],
    )


def _page(compared: Compared, page_id: str) -> dict[str, Any]:
    """A page of changes: how many each run has right, and a row for each segment."""
    changes = compared.changes[page_id]
    return {
        "page_id": page_id,
        "changes": changes,
        "right": [(name, sum(c.roles[i] == c.gold for c in changes)) for i, name in enumerate(compared.names)],
        "rows": [[c.gold, *c.roles, clipped(c.text, SHOWN_CHARS)] for c in changes[:SHOWN_SEGMENTS]],
    }


def _costs(compared: Compared, metric: str) -> list[tuple[str, float, float, float, float]]:
    """Name, cost, score and its interval, of runs that know what they cost."""
    points = []
    for name, metrics, scores in zip(compared.names, compared.metrics, compared.scores, strict=True):
        value, score = metrics.get(metric, 0.0), scores.values["role/macro_f1"]
        if value > 0:
            points.append((name, value, score, *scores.intervals.get("role/macro_f1", (score, score))))
    return points


def verdicts(compared: Compared) -> list[str]:
    """How much better each run than the first is, a sentence each."""
    metric = "role/macro_f1"
    return [
        f"{name} less {compared.names[0]}: role macro-F1 {_difference(gained, metric)}, paired over "
        f"{compared.n_sites:,} sites"
        for name, gained in zip(compared.names[1:], compared.gains, strict=True)
    ]


DEMO_COLUMNS = (
    ("role macro-F1", "test/role/macro_f1"),
    ("main F1", "test/role/f1/main"),
    ("related F1", "test/role/f1/related"),
    ("boilerplate F1", "test/role/f1/boilerplate"),
    ("related bodies F1", "test/role/f1/related_body"),
    ("topic macro-F1", "test/topic/macro_f1"),
    ("training s", "cost/train_s"),
    ("segments/s", "cost/segments_per_s"),
    ("MB", "size/mb"),
)
"""What is shown of each model by its metrics alone: heading and metric."""
_DEMO_HEADINGS = ("model", *(name for name, _ in DEMO_COLUMNS))


def metrics_view(models: Sequence[tuple[str, Mapping[str, float]]], title: str) -> RenderableType:
    """Models, by name and metrics, beside each other: scores and costs.

    Args:
        models: Name and metrics of each model, the metrics under their names in MLflow.
        title: Stands above the table.
    """
    table = framed(title, *_DEMO_HEADINGS)
    table.columns[0].no_wrap = True
    for name, metrics in models:
        table.add_row(name, *_cells(metrics))
    return table


def metrics_markdown(models: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """The same as a Markdown table."""
    return markdown.table(_DEMO_HEADINGS, [[name, *_cells(metrics)] for name, metrics in models])


def _cells(metrics: Mapping[str, float]) -> list[str]:
    """A model's row; the macro-F1 of roles with its interval over sites."""
    cells = []
    for _, name in DEMO_COLUMNS:
        value, low, high = (metrics.get(f"{name}{end}") for end in ("", "/low", "/high"))
        if value is None or not name.startswith("test/"):
            cells.append(cost(value))
        elif low is None or high is None or not name.endswith("role/macro_f1"):
            cells.append(f"{value:.3f}")
        else:
            cells.append(f"{value:.3f} ({low:.3f}-{high:.3f})")
    return cells

"""How the tables of `configs/results` look: their columns, and which rows of which records they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from train.common.markdown import table as markdown
from train.evaluation.metrics import KEY_METRICS
from train.studies.results import Record


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        heading: Its heading.
        forms: Format strings over metric names; a cell is the first one whose metrics its row has, else `-`.
    """

    heading: str
    forms: tuple[str, ...]


Columns = Callable[[Sequence[Record]], Sequence[Column]]


@dataclass(frozen=True)
class Layout:
    """One table.

    Args:
        columns: Its columns, given the records. Those that no row fills are left out.
        target: The command that measures it, for a table without records.
        first: The heading of the rows' names; None leaves the names out, where columns tell the rows apart.
        rows: Label -> the records that make up the row, as (table, row); with more than one, a metric is called
            TABLE/METRIC. Empty: all records of the table of this name.
    """

    columns: Columns
    target: str
    first: str | None = ""
    rows: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)


def score(metric: str) -> tuple[str, ...]:
    """A score with its interval, or without."""
    return (f"{{{metric}:.3f}} ({{{metric}/low:.3f}}-{{{metric}/high:.3f}})", f"{{{metric}:.3f}}")


def plain_score(metric: str) -> tuple[str, ...]:
    """A score without its interval."""
    return (f"{{{metric}:.3f}}",)


def points(metric: str) -> tuple[str, ...]:
    """A difference in points of a hundred, with its interval; the record holds it in such points."""
    return (f"{{{metric}:+.1f}} ({{{metric}/low:+.1f}} to {{{metric}/high:+.1f}})", f"{{{metric}:+.1f}}")


def key_scores(metrics: Sequence[str] = tuple(KEY_METRICS), *, intervals: bool = False) -> list[Column]:
    """The columns of the metrics that all studies show.

    Args:
        metrics: Names in `KEY_METRICS`; all by default.
        intervals: Whether scores have their interval.
    """
    return [
        Column(KEY_METRICS[name], (f"{{{name}:.1%}}",))
        if name == "role/related_leak"
        else Column(KEY_METRICS[name], score(name) if intervals else plain_score(name))
        for name in metrics
    ]


_SAMPLE = [Column("pages", ("{n_pages:,.0f}",)), Column("sites", ("{n_sites:,.0f}",))]
_COST = [
    Column("training s", ("{cost/train_s:,.0f}",)),
    Column("segments/s", ("{cost/segments_per_s:,.0f}",)),
    Column("MB", ("{size/mb:,.0f}",)),
]
_DEMO = [
    Column("role macro-F1", score("test/role/macro_f1")),
    Column("main F1", plain_score("test/role/f1/main")),
    Column("related F1", plain_score("test/role/f1/related")),
    Column("boilerplate F1", plain_score("test/role/f1/boilerplate")),
    Column("related bodies F1", plain_score("test/role/f1/related_body")),
    Column("topic macro-F1", plain_score("test/topic/macro_f1")),
    *_COST,
]
_MODELS = [
    Column(
        "role macro-F1, real pages of unseen sites",
        plain_score("real-pages/role/macro_f1") + plain_score("role/macro_f1"),
    ),
    Column("main text F1, the same", plain_score("real-pages/text/f1") + plain_score("text/f1")),
    Column("training s", ("{demo/cost/train_s:,.0f}",)),
    Column("segments/s", ("{demo/cost/segments_per_s:,.0f}",)),
    Column("MB", ("{demo/size/mb:,.0f}",)),
]
_CHANGE = Column("change of macro-F1 in points (95 %)", points("gain/role/macro_f1"))
_EXTRACTORS = [
    Column("reads", ("{reads}",)),
    Column("precision", plain_score("text/precision")),
    Column("recall", plain_score("text/recall")),
    Column("main text F1 (95 %)", score("text/f1")),
    Column("difference to the first in points (95 %)", points("gain/text/f1")),
]
_RATES = [
    Column("rate", ("{rate:,.0f} {unit}",)),
    Column(
        "times the first (least–most of the rounds)", ("{ratio:.2f} ({ratio/low:.2f}–{ratio/high:.2f})", "{ratio:.2f}")
    ),
    Column("", ("{note}",)),
]
_SURVIVAL = [Column("tried", ("{tried}",)), Column("s", ("{seconds:,.0f}",))]


def _texts(*metrics: str) -> list[Column]:
    """Columns of metrics that are texts."""
    return [Column(name, (f"{{{name}}}",)) for name in metrics]


def _always(columns: Sequence[Column]) -> Columns:
    return lambda records: columns


def _growth(records: Sequence[Record]) -> list[Column]:
    """A column for each size of corpus that was measured."""
    sizes = sorted({int(name.partition("/")[2]) for one in records for name in one.metrics if name.startswith("s/")})
    return [
        *(
            Column(f"{size:,} segments", (f"{{s/{size}:,.1f}} s, {{mb/{size}:,.0f}} MB ({{added_mb/{size}:+,.0f}})",))
            for size in sizes
        ),
        Column("segments/s at the largest", ("{segments_per_s:,.0f}",)),
        Column("slope of time", ("{slope:.2f}",)),
    ]


def _every_metric(records: Sequence[Record]) -> list[Column]:
    """For a table that has no layout: a column for each metric."""
    columns = []
    for name in dict.fromkeys(name for one in records for name in one.metrics):
        values = [one.metrics[name] for one in records if name in one.metrics]
        numbers = [value for value in values if not isinstance(value, str)]
        forms = score(name) if all(0 < value < 1 for value in numbers) else (f"{{{name}:,.4g}}",)
        if name.startswith("gain/"):
            forms = points(name)
        columns.append(Column(KEY_METRICS.get(name, name), forms if numbers else (f"{{{name}}}",)))
    return columns


LAYOUTS = {
    "demo": Layout(_always(_DEMO), "make demo", "model"),
    "demo-difference": Layout(_always([_CHANGE]), "make demo"),
    "real-pages": Layout(
        _always([*key_scores(intervals=True), *_SAMPLE]),
        "make crossval",
        rows={name: [("real-pages", f"{name}, lang en")] for name in ("pretrained", "baseline", "encoder")},
    ),
    "pretrained": Layout(
        _always([*key_scores(intervals=True), *_SAMPLE]),
        "make evaluate MODEL=pretrained SLICE=lang",
        "pages",
        rows={
            label: [("real-pages", f"pretrained, lang {code}")] for label, code in (("English", "en"), ("German", "de"))
        },
    ),
    "which-model": Layout(
        _always(_MODELS),
        "make crossval, make demo and make evaluate MODEL=pretrained",
        rows={
            "pretrained": [("real-pages", "pretrained, lang en")],
            **{name: [("real-pages", f"{name}, lang en"), ("demo", name)] for name in ("encoder", "baseline")},
        },
    ),
    "extractor-benchmark": Layout(_always(_EXTRACTORS), "make benchmark"),
    "ablation-baseline": Layout(_always([*key_scores(), _CHANGE]), "make ablate"),
    "ablation-encoder": Layout(_always([*key_scores(), _CHANGE]), "make ablate"),
    "cross-corpus": Layout(
        _always([*_texts("trained on", "tested on"), *key_scores(intervals=True)]), "make transfer", None
    ),
    "learning-curve": Layout(
        _always(
            [
                Column("training sites", ("{sites:,.0f}",)),
                Column("pages", ("{pages:,.0f}",)),
                *key_scores(),
                Column("change of macro-F1 to the size before, in points (95 %)", points("gain/role/macro_f1")),
            ]
        ),
        "make curve",
        None,
    ),
    "bench-growth": Layout(_growth, "make bench SECTIONS=growth", "step"),
    **{
        f"bench-{name}": Layout(_always(_RATES), f"make bench SECTIONS={name}")
        for name in ("baseline", "neighbours", "serving")
    },
    "survival": Layout(_always(_SURVIVAL), "make test-slow", "fault, at what"),
}
"""Block name -> its table. Records of other names are shown with all of their metrics."""


def table(name: str, records: Mapping[str, Sequence[Record]]) -> str:
    """The Markdown of a table: its rows, when and on what each was measured, and the commands that make it again.

    Args:
        name: The block's name.
        records: Table name -> its records (`read_records`).
    """
    layout = LAYOUTS.get(name, Layout(_every_metric, ""))
    rows = _rows(name, layout, records)
    if not rows:
        return f"Not recorded yet: `{layout.target} RECORD=1` does.\n"
    columns = [
        (column.heading, cells)
        for column in layout.columns([one for _, parts in rows for one in parts])
        if any(cells := [_cell(column, parts) for _, parts in rows])
    ]
    lines, section = [], None
    for i, (label, parts) in enumerate(rows):
        of = str(parts[0].metrics.get("section", ""))
        if of and of != section:
            lines.append([f"**{of}**", *[""] * (len(columns) + 1)])
            label = label.removeprefix(f"{of}: ")
        elif of:
            label = label.removeprefix(f"{of}: ")
        section = of
        measured = "; ".join(dict.fromkeys(one.measured for one in parts))
        names = [] if layout.first is None else [label]
        lines.append([*names, *(cells[i] or "-" for _, cells in columns), measured])
    names = [] if layout.first is None else [layout.first]
    header = [*names, *(heading for heading, _ in columns), "measured"]
    return f"{markdown(header, lines)}\n{_commands(rows)}"


def tables(records: Mapping[str, Sequence[Record]]) -> dict[str, str]:
    """Block name -> its Markdown, of every layout and every table that has records."""
    return {name: table(name, records) for name in dict.fromkeys([*LAYOUTS, *records])}


def _rows(name: str, layout: Layout, records: Mapping[str, Sequence[Record]]) -> list[tuple[str, list[Record]]]:
    """Label and records of each row; rows one of whose records is missing are left out."""
    if not layout.rows:
        return [(one.row, [one]) for one in records.get(name, ())]
    by_row = {(one.table, one.row): one for rows in records.values() for one in rows}
    return [
        (label, [by_row[key] for key in keys])
        for label, keys in layout.rows.items()
        if all(key in by_row for key in keys)
    ]


def _cell(column: Column, parts: Sequence[Record]) -> str:
    """The cell of a row; empty where the row has no value for it."""
    values = (
        parts[0].values
        if len(parts) == 1
        else {f"{one.table}/{name}": value for one in parts for name, value in one.values.items()}
    )
    for form in column.forms:
        try:
            return form.format_map(values).replace("|", "\\|")
        except KeyError:
            continue
    return ""


def _commands(rows: Sequence[tuple[str, Sequence[Record]]]) -> str:
    """A line for each command that rows came from, with the corpora and, where there are several, the rows' names."""
    made: dict[str, list[tuple[str, str | None]]] = {}
    for label, parts in rows:
        for one in parts:
            made.setdefault(one.command, []).append((label, one.corpus_sha256))
    lines = []
    for command, uses in made.items():
        corpora = ", ".join(dict.fromkeys(f"`{sha256[:12]}`" for _, sha256 in uses if sha256))
        names = ", ".join(dict.fromkeys(label for label, _ in uses))
        of = f" ({names})" if len(made) > 1 else ""
        lines.append(f"- `{command}`" + (f", corpus sha256 {corpora}" if corpora else "") + of)
    return "\n".join(lines) + "\n"

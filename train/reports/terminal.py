"""A labelled page, a corpus check and the comparison of models, as a terminal shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from train.annotation.label_errors import MIN_WORDS, LabelError
from train.corpus.page import Page
from train.corpus.quality.check import WARNINGS, CheckReport
from train.corpus.splits.leakage import LeakReport
from train.corpus.splits.split import Split, describe
from train.evaluation.metrics import KEY_METRICS, Evaluation
from train.inference.explain import Reason
from train.runtime.text import ROLES, word_count

if TYPE_CHECKING:
    from train.monitoring.drift import Drift

STYLE = {"main": ("█", "bold green"), "related": ("▒", "yellow"), "boilerplate": ("·", "bright_black")}
"""Sign and colour of each role: the sign alone must tell it too."""


def page_view(record: Mapping[str, Any], *, width: int = 100) -> RenderableType:
    """A labelled page: each segment with its sign, role, story and confidence, then its stories with their topics."""
    lines = Table(box=None, show_header=True, header_style="dim", pad_edge=False)
    for name, right in (("", False), ("role", False), ("story", True), ("conf.", True), ("segment", False)):
        lines.add_column(name, justify="right" if right else "left", no_wrap=True)
    for segment in record["segments"]:
        sign, style = STYLE[segment["role"]]
        story = "" if segment["story"] is None else str(segment["story"])
        text = " ".join(segment["text"].split())
        lines.add_row(
            Text(sign, style),
            Text(segment["role"], style),
            story,
            f"{segment['confidence']:.2f}",
            Text(_short(text, width - 34), style),
        )
    stories = Table(
        title="Stories", title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False
    )
    for name in ("story", "role", "topic", "conf.", "segments", "begins"):
        stories.add_column(name, no_wrap=True)
    for story in record["stories"]:
        words = " ".join(record["segments"][i]["text"] for i in story["segments"])
        stories.add_row(
            str(story["story"]),
            story["role"],
            story["topic"] or "-",
            f"{story['confidence']:.2f}",
            str(len(story["segments"])),
            escape(_short(words, 52)),
        )
    model = record["model"]
    return Group(lines, Text(), stories, Text(f"by {model['name']} {model['version']} ({model['family']})", "dim"))


def check_view(report: CheckReport) -> RenderableType:
    """What a check found, in a few lines."""
    rows: list[RenderableType] = [
        Text(f"{report.path}  sha256 {report.sha256[:12]}"),
        Text(
            f"{report.lines:,} pages in = {report.kept:,} kept + {sum(report.errors.values()):,} quarantined; "
            f"{report.sites:,} sites, {report.segments:,} segments"
        ),
        Text("roles: " + ", ".join(f"{role} {count:,}" for role, count in report.roles.most_common())),
    ]
    if report.topics:
        rows.append(
            Text(
                "topics (segments): "
                + ", ".join(f"{topic} {count:,}" for topic, count in report.topics.most_common(12))
            )
        )
    for rule, count in report.errors.most_common():
        rows.append(Text(f"error   {rule}: {count:,}, first {report.examples[rule]}", "red"))
    for rule, count in report.warnings.most_common():
        rows.append(Text(f"warning {rule}: {count:,} × {WARNINGS[rule]}, first {report.examples[rule]}", "yellow"))
    if report.quarantine:
        rows.append(Text(f"refused pages are in {report.quarantine}", "red"))
    elif not report.warnings:
        rows.append(Text("no finding", "green"))
    return Group(*rows)


def split_view(split: Split) -> RenderableType:
    """Sites, pages, segments and mix of roles of each part, and what the parts share."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("part", "sites", "pages", "segments", *ROLES):
        table.add_column(name, justify="left" if name == "part" else "right")
    for part, sites, pages, segments, roles in describe(split):
        shares = (f"{count / segments:.1%}" if segments else "-" for count in roles)
        table.add_row(part, *(f"{count:,}" for count in (sites, pages, segments)), *shares)
    shared = split.shared_stories()
    linked = sum(map(len, split.linked_sites))
    lines = (
        [Text(f"{linked} sites share stories with others and stay with them, in {len(split.linked_sites)} groups")]
        if linked
        else []
    )
    lines.append(Text(f"pages of different parts that share a story: {shared}", "green" if shared == 0 else "red"))
    if split.left_out:
        lines.append(
            Text(f"{len(split.left_out)} pages are in no part: they are of the wrong days, or have no date", "yellow")
        )
    lines += [Text(f"warning: {warning}", "yellow") for warning in split.warnings()]
    return Group(table, *lines)


def leakage_view(report: LeakReport, sharing_pages: int) -> RenderableType:
    """Copies between parts by role, and what many sites rightly share."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("from", "into", "role", "exact", "near", "of", "share", "shared phrases"):
        table.add_column(name, justify="left" if name in ("from", "into", "role") else "right")
    for row in report.rows():
        style = (
            "red"
            if row["role"] != "boilerplate" and row["share"] > 0.01
            else "yellow"
            if row["exact"] + row["near"]
            else None
        )
        counts = (f"{row[name]:,}" for name in ("exact", "near", "of"))
        table.add_row(
            row["from"],
            row["into"],
            row["role"],
            *counts,
            f"{row['share']:.2%}",
            f"{row['shared_phrases']:,}",
            style=style,
        )
    lines: list[RenderableType] = [table]
    for (source, into, role, kind), found in sorted(report.examples.items()):
        one, other, text = found[0]
        lines.append(
            Text(f"{kind} {role}, {source} {one} -> {into} {other}: {_short(' '.join(text.split()), 70)}", "dim")
        )
    lines.append(
        Text(f"pages of different parts that share a story: {sharing_pages}", "red" if sharing_pages else "green")
    )
    lines.append(
        Text(
            "shared phrases: boilerplate, or fewer than 8 words of any role, on 3 sites or more; rightly shared, and "
            "left out"
        )
    )
    return Group(*lines)


def scores_view(title: str, whole: Evaluation, slices: Mapping[str, Evaluation]) -> RenderableType:
    """Scores over all pages with their intervals, and the main ones of each slice, the largest first."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in ("score", "value", "95 % interval over sites"):
        table.add_column(heading, justify="left" if heading == "score" else "right")
    for metric, value in whole.values.items():
        low, high = whole.intervals.get(metric, (value, value))
        table.add_row(metric, f"{value:.4f}", f"{low:.3f}-{high:.3f}")
    if not slices:
        return table
    shown = {name: heading for name, heading in KEY_METRICS.items() if name in whole.values}
    shown = shown or {name: name for name in whole.values if name.endswith(("/macro_f1", "/accuracy"))}
    below = Table(title="By slice", title_justify="left", title_style="bold")
    for heading in ("slice", "pages", "sites", *shown.values()):
        below.add_column(heading, justify="left" if heading == "slice" else "right")
    for part, found in sorted(slices.items(), key=lambda item: (-item[1].n_pages, item[0])):
        scores = (f"{found.values[metric]:.3f}" if metric in found.values else "-" for metric in shown)
        below.add_row(escape(part), f"{found.n_pages:,}", f"{found.n_sites:,}", *scores)
    return Group(table, below)


def label_errors_view(errors: Sequence[LabelError], pages: Sequence[Page], *, shown: int = 20) -> RenderableType:
    """How many probable label errors there are by role, and the surest of them."""
    roles = Counter(str(s.role) for page in pages for s in page.segments if word_count(s.text) >= MIN_WORDS)
    by_role = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("given", "suggested", "segments", "of the given role"):
        by_role.add_column(name, justify="left" if name in ("given", "suggested") else "right")
    for (given, suggested), count in Counter((e.given, e.suggested) for e in errors).most_common():
        by_role.add_row(given, suggested, f"{count:,}", f"{count / roles[given]:.1%}")
    surest = Table(
        box=None,
        header_style="dim",
        pad_edge=False,
        title=f"The {min(shown, len(errors))} surest",
        title_justify="left",
    )
    for name in ("quality", "given", "suggested", "page", "text"):
        surest.add_column(name, no_wrap=True)
    for error in errors[:shown]:
        text = escape(_short(" ".join(error.text.split()), 60))
        surest.add_row(
            f"{error.quality:.3f}", error.given, error.suggested, escape(f"{error.page_id}:{error.segment}"), text
        )
    return Group(by_role, Text(), surest)


def with_and_without_view(whole: Mapping[str, float], kept: Mapping[str, float], segments: int) -> RenderableType:
    """Test scores with all segments and without the leaked ones."""
    table = Table(
        title=f"Test scores with and without {segments:,} leaked segments", title_justify="left", title_style="bold"
    )
    for name in ("score", "with", "without", "difference"):
        table.add_column(name, justify="left" if name == "score" else "right")
    for name, value in whole.items():
        if name in kept:
            table.add_row(name, f"{value:.4f}", f"{kept[name]:.4f}", f"{kept[name] - value:+.4f}")
    return table


COLUMNS = (
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
"""The demo's columns: heading and metric."""


def cells(metrics: Mapping[str, float]) -> list[str]:
    """A model's row of the comparison; the macro-F1 with its interval over sites."""
    row = []
    for _, name in COLUMNS:
        value = metrics.get(name)
        if value is None:
            row.append("-")
        elif name.startswith("test/"):
            low, high = metrics.get(f"{name}/low"), metrics.get(f"{name}/high")
            interval = (
                f" ({low:.3f}-{high:.3f})"
                if low is not None and high is not None and name.endswith("role/macro_f1")
                else ""
            )
            row.append(f"{value:.3f}{interval}")
        else:
            row.append(f"{value:,.0f}" if value >= 10 else f"{value:.1f}")
    return row


def comparison(rows: Sequence[tuple[str, Mapping[str, float]]], title: str) -> RenderableType:
    """Models × scores and costs."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("model", no_wrap=True)
    for heading, _ in COLUMNS:
        table.add_column(heading, justify="right")
    for name, metrics in rows:
        table.add_row(name, *cells(metrics))
    return table


def markdown(rows: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """The same comparison as a Markdown table."""
    headings = ["model", *(heading for heading, _ in COLUMNS)]
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    lines += ["| " + " | ".join([name, *cells(metrics)]) + " |" for name, metrics in rows]
    return "\n".join(lines) + "\n"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def tuned_view(
    trials: Sequence[Mapping[str, Any]], importances: Mapping[str, float], metric: str, *, most: int = 10
) -> RenderableType:
    """The best trials of a search, and what mattered."""
    best = sorted(
        trials, key=lambda t: (t["state"] == "complete", t["score"] if t["score"] is not None else -1), reverse=True
    )[:most]
    keys = list(dict.fromkeys(key for trial in best for key in trial["values"]))
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("trial", metric, "state", *(key.rpartition(".")[2] for key in keys)):
        table.add_column(name, justify="right")
    for trial in best:
        score = "-" if trial["score"] is None else f"{trial['score']:.4f}"
        table.add_row(str(trial["number"]), score, trial["state"], *(_value(trial["values"].get(key)) for key in keys))
    counts = Counter(trial["state"] for trial in trials)
    lines: list[RenderableType] = [
        table,
        Text(", ".join(f"{count} {state}" for state, count in counts.most_common()), "dim"),
    ]
    if importances:
        shares = ", ".join(
            f"{key} {share:.0%}" for key, share in sorted(importances.items(), key=lambda item: -item[1])
        )
        lines.append(Text(f"share of the score's variance: {shares}", "dim"))
    return Group(*lines)


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)


def top_features_view(found: Mapping[str, Sequence[tuple[str, float]]]) -> RenderableType:
    """The features that speak most for each state, side by side."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for state in found:
        table.add_column(state, no_wrap=True)
        table.add_column("", justify="right", style="dim")
    for row in zip(*found.values(), strict=True):
        table.add_row(*(cell for name, weight in row for cell in (escape(_short(name, 26)), f"{weight:+.2f}")))
    return table


def why_view(texts: Sequence[str], reasons: Sequence[Reason], *, width: int = 100) -> RenderableType:
    """Each segment with what it reads as by itself, against what, and the features that decided."""
    lines: list[RenderableType] = []
    for text, reason in zip(texts, reasons, strict=True):
        sign, style = STYLE[reason.state.partition("-")[0]]
        lines.append(Text(f"{sign} {_short(' '.join(text.split()), width - 4)}", style))
        said = ", ".join(f"{name} {value:+.2f}" for name, value in reason.features)
        lines.append(Text(f"    {reason.state} {reason.probability:.2f}, not {reason.other}: {said}", "dim"))
    return Group(*lines)


def drift_view(found: Drift) -> RenderableType:
    """What has shifted, feature by feature."""
    table = Table(
        title=f"{found.pages:,} pages of {found.sites:,} sites beside the reference of {found.model}",
        title_justify="left",
        box=None,
    )
    for name in ("feature", "PSI", "usual below", "Jensen-Shannon", "", "most changed"):
        table.add_column(
            name, header_style="dim", justify="right" if name in ("PSI", "usual below", "Jensen-Shannon") else "left"
        )
    for shift in found.shifts:
        _, name, before, now = max(
            (abs(n - b), name, b, n) for name, b, n in zip(shift.bins, shift.before, shift.now, strict=True)
        )
        most = f"{name}: {before:.0%} to {now:.0%}"
        mark = Text("shifted", "bold red") if shift.shifted else Text("")
        table.add_row(shift.feature, f"{shift.psi:.3f}", f"{shift.usual:.3f}", f"{shift.js:.3f}", mark, escape(most))
    return table

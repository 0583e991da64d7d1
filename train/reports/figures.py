"""Figures in one style, as SVG for HTML: readable on light and dark, description apart by line and hatch as well as by
colour."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from train.common.files import write_text
from train.reports.html import escape, fragment

COLOURS = {"main": "#2e9e5b", "related": "#d08c00", "boilerplate": "#7f8c9b", "unlabelled": "#b05fb0"}
LINES = {"main": "-", "related": "--", "boilerplate": ":", "unlabelled": "-."}
_HATCHES = {"main": "", "related": "//", "boilerplate": "..", "unlabelled": "xx"}
INK = "#808890"
"""Stands for the colour of the page's text, which is another one on dark."""
_STYLE = (
    "<style>svg.drawn { color: #4a525b } @media (prefers-color-scheme: dark) { svg.drawn { color: #b6bec6 } }</style>"
)
PLAIN = "#4a90c4"
SERIES = (("#4a90c4", "-"), ("#d08c00", "--"), ("#2e9e5b", ":"), ("#b05fb0", "-."))
"""Colour and line of series that are not roles."""


@dataclass(frozen=True)
class Drawing:
    """A figure.

    Args:
        caption: Stands above it.
        alternative: Tells in words what it shows.
        svg: The SVG element.
    """

    caption: str
    alternative: str
    svg: Markup

    def write(self, path: Path) -> None:
        """Writes it as a file of its own."""
        write_text(path, f'<?xml version="1.0" encoding="utf-8"?>\n{self.svg}\n')


def gallery(*drawings: Drawing) -> Markup:
    """Figures beside each other, as many as the page is wide."""
    return fragment("gallery", drawings)


@contextmanager
def axes_of(size: tuple[float, float]) -> Iterator[tuple[Any, Any]]:
    """A matplotlib figure of so many inches in the one style, and its axes."""
    import matplotlib
    from matplotlib.figure import Figure

    ink: dict[Any, Any] = {
        name: INK for name in ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    }
    style: dict[Any, Any] = {
        "font.size": 9,
        "svg.fonttype": "none",
        "svg.hashsalt": "newsparts",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context({**ink, **style}):
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        yield figure, axes


def drawn(figure: Any, caption: str, alternative: str) -> Drawing:
    """The figure as SVG.

    Args:
        figure: A figure of matplotlib.
        caption: Stands above it.
        alternative: Tells in words what it shows.
    """
    buffer = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Glyph .* missing from font"
        )  # the browser draws the text, with fonts of its own
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(
        "<svg", f'<svg class="drawn" role="img" aria-label="{escape(alternative)}"', 1
    )
    svg = svg.replace(INK, "currentColor").replace(">", f">{_STYLE}", 1)
    return Drawing(caption, alternative, Markup(svg))


def short(name: str) -> str:
    """A name in a line: at most 32 printable characters."""
    name = "".join(c if c.isprintable() else "?" for c in name)
    return name if len(name) <= 32 else f"{name[:31]}…"


def label(name: str) -> str:
    """The same as the axes take it: no formula, and no underscore in front, which hides a name from a legend."""
    name = short(name).replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def bars(
    counts: Mapping[str, int],
    caption: str,
    *,
    coloured: bool = False,
    most: int = 12,
    rest: bool = True,
    ordered: bool = False,
) -> Drawing:
    """Horizontal bars.

    Args:
        counts: Name -> number.
        caption: Stands above.
        coloured: Names are roles, and have their colours.
        most: So many bars at most.
        rest: Whether what is beyond `most` is summed up in a last bar.
        ordered: Keep the order of `counts`; otherwise the largest is on top.
    """
    shown = list(counts.items()) if ordered else sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(shown) > most:
        others = shown[most - 1 :]
        shown = [*shown[: most - 1], (f"{len(others):,} others", sum(n for _, n in others))] if rest else shown[:most]
    names, values = [name for name, _ in shown], [n for _, n in shown]
    with axes_of((5.2, 0.7 + 0.24 * max(3, len(shown)))) as (figure, axes):
        colours = [COLOURS.get(name, PLAIN) if coloured else PLAIN for name, _ in shown]
        heaps = axes.barh(range(len(shown)), values, color=colours)
        if coloured:
            for bar, (name, _) in zip(heaps, shown, strict=True):
                bar.set_hatch(_HATCHES.get(name, ""))
        axes.bar_label(heaps, labels=[f"{n:,}" for n in values], padding=3, color=INK)
        axes.set_yticks(range(len(shown)), [label(name) for name in names])
        axes.set_ylim(max(3, len(shown)) - 0.5, -0.5)
        axes.margins(x=0.15)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        return drawn(
            figure,
            caption,
            f"{caption}: " + ", ".join(f"{short(name)} {n}" for name, n in zip(names[:8], values[:8], strict=True)),
        )


def lines(
    heights: Mapping[str, np.ndarray],
    edges: np.ndarray,
    caption: str,
    *,
    along: str,
    up: str,
    logarithmic: bool = False,
) -> Drawing:
    """Stepped outlines of one histogram a role.

    Args:
        heights: Role -> height of each bin, `[bins]`.
        edges: Edges of the bins, `[bins + 1]`.
        caption: Stands above.
        along: Names the axis of the bins.
        up: Names the axis of the heights.
        logarithmic: Whether the axis of the bins is logarithmic.
    """
    with axes_of((5.2, 2.9)) as (figure, axes):
        for name, values in heights.items():
            axes.stairs(
                values, edges, label=name, color=COLOURS.get(name, PLAIN), linestyle=LINES.get(name, "-"), linewidth=1.8
            )
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel(along)
        axes.set_ylabel(up)
        axes.legend(frameon=False)
        peaks = ", ".join(
            f"{name} peaks at {edges[int(np.argmax(values))]:.3g}"
            for name, values in heights.items()
            if max(values, default=0)
        )
        return drawn(figure, caption, f"{caption}: {peaks}")


def histogram(values: Sequence[float], caption: str, *, along: str, up: str) -> Drawing:
    """One histogram of whole numbers.

    Args:
        values: The numbers counted.
        caption: Stands above.
        along: Names the axis of the numbers.
        up: Names the axis of the counts.
    """
    top = max(values, default=1)
    edges = np.arange(0.5, top + 1.5) if top <= 40 else np.linspace(0.5, top + 0.5, 41)
    heights, _ = np.histogram(values, edges)
    with axes_of((5.2, 2.6)) as (figure, axes):
        axes.stairs(heights, edges, fill=True, color=PLAIN)
        axes.locator_params(integer=True)
        axes.set_xlabel(along)
        axes.set_ylabel(up)
        return drawn(
            figure, caption, f"{caption}: median {np.median(values) if len(values) else 0:.0f}, largest {top:.0f}"
        )


def growth(
    sizes: Sequence[float],
    values: Mapping[str, Sequence[tuple[float, float, float]]],
    caption: str,
    *,
    along: str,
    up: str,
) -> Drawing:
    """Scores over a size on a logarithmic axis, each with the band of its interval.

    Args:
        sizes: Along the axis.
        values: Name -> `(low, high, value)` for each size.
        caption: Stands above.
        along: Names the axis.
        up: Names the other.
    """
    with axes_of((5.2, 3.2)) as (figure, axes):
        for (name, rows), (colour, line) in zip(values.items(), SERIES, strict=False):
            axes.fill_between(
                sizes, [low for low, _, _ in rows], [high for _, high, _ in rows], color=colour, alpha=0.12, linewidth=0
            )
            axes.plot(
                sizes,
                [value for _, _, value in rows],
                line,
                color=colour,
                label=name,
                marker="o",
                markersize=3.5,
                linewidth=1.8,
            )
        axes.set_xscale("log")
        axes.set_xticks(list(sizes), [f"{size:.0f}" for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel(along)
        axes.set_ylabel(up)
        axes.legend(frameon=False)
        ends = ", ".join(f"{name} from {rows[0][2]:.3f} to {rows[-1][2]:.3f}" for name, rows in values.items())
        return drawn(figure, caption, f"{caption}: {ends}")


def reliability(curves: Mapping[str, Sequence[tuple[float, float, int]]], caption: str) -> Drawing:
    """Accuracy over confidence, beside the diagonal of a model that knows how sure it may be; a dot's size is its share
    of segments.

    Args:
        curves: Name -> `(confidence, accuracy, segments)` of each bin.
        caption: Stands above.
    """
    with axes_of((4.6, 3.5)) as (figure, axes):
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8)
        for (name, bins), (colour, line) in zip(curves.items(), SERIES, strict=False):
            total = max(1, sum(n for _, _, n in bins))
            axes.plot([c for c, _, _ in bins], [a for _, a, _ in bins], line, color=colour, label=name, linewidth=1.6)
            axes.scatter(
                [c for c, _, _ in bins],
                [a for _, a, _ in bins],
                s=[8 + 300 * n / total for _, _, n in bins],
                color=colour,
                alpha=0.5,
            )
        axes.set_xlim(0.3, 1.01)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("confidence")
        axes.set_ylabel("share that is right")
        axes.legend(frameon=False, loc="upper left")
        return drawn(
            figure, caption, f"{caption}: " + "; ".join(f"{name}, {len(bins)} bins" for name, bins in curves.items())
        )


def shares(series: Mapping[str, Sequence[float]], bins: Sequence[str], caption: str) -> Drawing:
    """Shares of the same bins in several series, bars beside each other.

    Args:
        series: Name -> share of each bin.
        bins: The name of each bin.
        caption: Stands above.
    """
    places = np.arange(len(bins))
    height = 0.8 / len(series)
    with axes_of((5.2, 0.9 + 0.34 * len(bins))) as (figure, axes):
        for i, (name, values) in enumerate(series.items()):
            bars = axes.barh(places + (i + 0.5) * height - 0.4, values, height, label=name, color=SERIES[i][0])
            if i:
                for bar in bars:
                    bar.set_hatch("//")
        axes.set_yticks(places, [label(name) for name in bins])
        axes.set_ylim(len(bins) - 0.5, -0.5)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.legend(frameon=False)
        description = "; ".join(
            f"{name} {', '.join(f'{value:.0%}' for value in values)}" for name, values in series.items()
        )
        return drawn(figure, caption, f"{caption}, {', '.join(bins)}: {description}")

"""Figures of one run and of several: what a model confuses, how sure it is, where it fails, how it learnt, what it
costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np

from train.evaluation.slices import Predictions, Slice, confusion
from train.reports.figures import COLOURS, INK, LINES, PLAIN, SERIES, Drawing, axes_of, drawn, label, short
from train.runtime.text import ROLES


def confusion_figure(answers: Predictions) -> Drawing:
    """Labelled role by answered role: counts, and their share of the labelled role as number and shade."""
    counts = confusion(answers).sum(axis=0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with axes_of((4.6, 3.5)) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.0)
        for i in range(len(ROLES)):
            for j in range(len(ROLES)):
                ink = "white" if shares[i, j] > 0.55 else "#1c1f23"  # on the cell's own colour, whatever the page's
                axes.text(
                    j,
                    i,
                    f"{counts[i, j]:,}\n{shares[i, j]:.1%}",
                    ha="center",
                    va="center",
                    color=ink,
                    weight="bold" if i == j else "normal",
                )
        axes.set_xticks(range(len(ROLES)), ROLES)
        axes.set_yticks(range(len(ROLES)), ROLES)
        axes.set_xlabel("read as")
        axes.set_ylabel("labelled")
        for side in axes.spines.values():
            side.set_visible(False)
        description = "; ".join(
            f"{gold}: "
            + ", ".join(f"{counts[i, j]} read as {role} ({shares[i, j]:.0%})" for j, role in enumerate(ROLES))
            for i, gold in enumerate(ROLES)
        )
        return drawn(figure, "Segments by labelled role and answer", f"Confusion matrix. {description}")


def precision_recall_figure(answers: Predictions) -> Drawing:
    """Precision over recall of each role as its threshold falls; a dot stands where the model's own answers are."""
    with axes_of((4.6, 3.5)) as (figure, axes):
        description = []
        for r, role in enumerate(ROLES):
            is_role = answers.gold == r
            if not is_role.any():
                continue
            order = np.argsort(-answers.scores[:, r], kind="stable")
            right = np.cumsum(is_role[order])
            precision, recall = right / np.arange(1, len(order) + 1), right / is_role.sum()
            average = float((precision * is_role[order]).sum() / is_role.sum())
            points = np.unique(np.linspace(0, len(order) - 1, 400).astype(int))
            axes.plot(
                recall[points],
                precision[points],
                LINES[role],
                color=COLOURS[role],
                linewidth=1.8,
                label=f"{role}, AP {average:.3f}",
            )
            answered = answers.predicted == r
            hits = int((answered & is_role).sum())
            axes.plot(hits / is_role.sum(), hits / max(1, answered.sum()), "o", color=COLOURS[role], markersize=6)
            description.append(f"{role} {average:.3f}")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("recall")
        axes.set_ylabel("precision")
        if description:
            axes.legend(frameon=False, loc="lower left")
        return drawn(figure, "Precision and recall of each role", f"Average precision: {', '.join(description)}")


def coverage_figure(coverage: Mapping[str, float]) -> Drawing:
    """How many of the surest answers are right, by how many are taken.

    Args:
        coverage: Share taken, e.g. `50%` -> share that is right.
    """
    taken, right = [float(share.rstrip("%")) for share in coverage], [100 * value for value in coverage.values()]
    with axes_of((4.6, 2.9)) as (figure, axes):
        axes.plot(taken, right, "-", color=PLAIN, marker="o", markersize=4)
        axes.set_xlabel("the surest segments, %")
        axes.set_ylabel("are right, %")
        axes.set_xlim(0, 102)
        description = ", ".join(
            f"{share} taken, {value:.1%} right"
            for share, value in coverage.items()
            if share in ("10%", "50%", "90%", "100%")
        )
        return drawn(figure, "Right among the surest", f"Accuracy by coverage: {description}")


def slices_figure(scored: Sequence[Slice], caption: str, whole: float) -> Drawing:
    """Macro-F1 of slices with their intervals; hollow where sites are few.

    Args:
        scored: The slices, from top to bottom.
        caption: Stands above.
        whole: The score of all, as a line to compare with.
    """
    with axes_of((5.6, 0.8 + 0.27 * len(scored))) as (figure, axes):
        for i, one in enumerate(scored):
            axes.plot([one.low, one.high], [i, i], color=PLAIN, linewidth=2, alpha=0.6)
            axes.plot(one.macro_f1, i, "o", color=PLAIN, markersize=6, fillstyle="none" if one.few else "full")
        axes.axvline(whole, color=INK, linewidth=0.8, linestyle="--")
        axes.set_yticks(range(len(scored)), [f"{label(one.value)}  (n={one.segments:,})" for one in scored])
        axes.set_ylim(max(1, len(scored)) - 0.5, -0.5)
        axes.set_xlim(min([0.5, *(one.low for one in scored)]) - 0.02, 1.02)
        axes.set_xlabel("role macro-F1")
        description = "; ".join(
            f"{short(one.value)} {one.macro_f1:.3f} of {one.segments} segments" for one in scored[:20]
        )
        return drawn(figure, caption, f"{caption}: {description}")


def training_figures(steps: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, Drawing]:
    """The step metrics of a run by name, a figure each.

    Args:
        steps: Metric -> `(step, value)`.
    """
    figures = {}
    for metric, points in steps.items():
        if len(points) < 2:
            continue
        with axes_of((4.6, 2.7)) as (figure, axes):
            axes.plot(
                [step for step, _ in points],
                [value for _, value in points],
                color=PLAIN,
                marker="o" if len(points) < 30 else "",
                markersize=3.5,
            )
            axes.set_xlabel("step")
            axes.set_ylabel(metric)
            description = f"from {points[0][1]:.4g} at {points[0][0]} to {points[-1][1]:.4g} at {points[-1][0]}"
            figures[metric] = drawn(figure, metric, f"{metric}: {description}")
    return figures


def cost_figure(runs: Sequence[tuple[str, float, float, float, float]], caption: str, *, along: str) -> Drawing:
    """Score over cost of several runs, cost on a logarithmic axis.

    Args:
        runs: Name, cost, score, and the two ends of the score's interval.
        caption: Stands above.
        along: Names the cost.
    """
    with axes_of((4.6, 3.2)) as (figure, axes):
        for (name, cost, score, low, high), (colour, _), sign in zip(
            runs, cycle(SERIES), cycle("os^Dv<>P*X"), strict=False
        ):
            axes.plot([cost, cost], [low, high], color=colour, linewidth=1.6, alpha=0.6)
            axes.plot(cost, score, sign, color=colour, markersize=7, label=label(name))
        axes.set_xscale("log")
        # At the runs' own costs: the usual ticks of a logarithmic axis run into each other.
        costs = sorted({cost for _, cost, *_ in runs})
        axes.set_xticks(costs, [f"{cost:,.4g}" if cost < 1000 else f"{cost:,.0f}" for cost in costs])
        axes.minorticks_off()
        axes.set_xlabel(along)
        axes.set_ylabel("role macro-F1")
        axes.margins(x=0.2)
        axes.legend(frameon=False)
        description = "; ".join(f"{short(name)} {score:.3f} at {cost:,.4g}" for name, cost, score, _, _ in runs)
        return drawn(figure, caption, f"{caption} ({along}): {description}")

"""What the tables of all studies share: cells, and the line that says how to make the table again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from train.evaluation.metrics import KEY_METRICS, Evaluation

USUAL_FOLDS = 5


def cells(scores: Evaluation) -> list[str]:
    """The key metrics as a table shows them."""
    return [
        f"{scores.values[name]:.1%}" if name == "role/related_leak" else f"{scores.values[name]:.3f}"
        for name in KEY_METRICS
    ]


def note(target: str, config: str | None, overrides: Sequence[str], *facts: str, **variables: str) -> str:
    """The command, what it read, and the date.

    Args:
        target: Of make.
        config: Path of the config; None for a target without one.
        overrides: `key=value` overrides.
        facts: E.g. the corpus hash.
        variables: Further variables of the command; empty ones are left out.
    """
    given = {"SET": " ".join(overrides), **variables}
    command = " ".join(
        [
            f"make {target}",
            *([f"CONFIG={config}"] if config else []),
            *(f'{name}="{value}"' for name, value in given.items() if value),
        ]
    )
    return f"`{command}`, {', '.join(facts)}, {datetime.now(UTC):%Y-%m-%d}.\n"


def folds_said(count: int) -> str:
    """The variable FOLDS of a command with so many folds; empty for the usual number."""
    return "" if count == USUAL_FOLDS else str(count)

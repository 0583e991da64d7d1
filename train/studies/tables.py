"""What the tables of all studies share: cells, and the line that says how to make the table again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from train.evaluation.metrics import KEY_METRICS, Evaluation

USUAL_FOLDS = 5


def cells(scores: Evaluation) -> list[str]:
    """The key metrics as a table shows them."""
    return [
        f"{scores.values[name]:.1%}" if name == "role/related_leak" else f"{scores.values[name]:.3f}"
        for name in KEY_METRICS
    ]


def make_command(
    target: str,
    config: str | None = None,
    overrides: Sequence[str] = (),
    variables: Mapping[str, str] = {},
    *,
    folds: int = USUAL_FOLDS,
) -> str:
    """The make command of a study.

    Args:
        target: The make target.
        config: The path of the config; None for a target without one.
        overrides: `key=value` overrides, given as SET.
        variables: Further variables of the command; empty ones are left out.
        folds: The number of folds, given as FOLDS unless it is the usual one.
    """
    given = {"SET": " ".join(overrides), **variables, "FOLDS": "" if folds == USUAL_FOLDS else str(folds)}
    words = [f"make {target}", *([f"CONFIG={config}"] if config else [])]
    return " ".join([*words, *(f'{name}="{value}"' for name, value in given.items() if value)])


def note(command: str, *facts: str) -> str:
    """The line below a table: how and when it was made.

    Args:
        command: The command that makes the table again.
        *facts: What the table is of, e.g. `5 folds by site`.
    """
    return ", ".join([f"`{command}`", *facts, f"{datetime.now(UTC):%Y-%m-%d}"]) + ".\n"

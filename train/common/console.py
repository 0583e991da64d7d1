"""Progress on stderr wherever one waits; stdout stays for answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
console = Console(stderr=True, highlight=False)


def bar() -> Progress:
    """A progress display with bar, count, elapsed and remaining time."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yields items under a progress bar on stderr.

    Args:
        items: The items to go through, in order.
        description: The text beside the bar.
        total: The number of items, where `items` has no length; None shows a bar without an end.
    """
    with bar() as progress:
        yield from progress.track(items, total=total, description=description)


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """Shows a moving bar and a clock while a library works and does not report how far it is; `description` stands
    beside them."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        task = progress.add_task(description, total=None)
        yield
        progress.update(task, total=1, completed=1)

"""Figures of reports, drawn or left blank."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from matplotlib.figure import Figure

_DRAW = Figure.savefig


def _blank(figure: Any, target: Any, **more: Any) -> None:
    target.write('<svg xmlns="http://www.w3.org/2000/svg"></svg>')


@contextmanager
def figures(*, drawn: bool) -> Iterator[None]:
    """Within the block, matplotlib draws, or writes an empty SVG: drawing would be half the time of a toy run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", _DRAW if drawn else _blank)
        yield

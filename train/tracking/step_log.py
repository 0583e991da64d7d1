"""Step metrics of a run, kept in a file beside MLflow's copy: the run's report draws them, also after the run was
killed and went on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

Send = Callable[[Mapping[str, float], int], None]


class StepLog:
    """Takes step metrics, keeps them and passes them on.

    Args:
        path: JSON lines `{"step", metric: value, …}`.
        send: Where they are passed on to.
        resumed: Keep what the file holds; a line that a kill cut short is dropped.
    """

    def __init__(self, path: Path, send: Send, *, resumed: bool) -> None:
        self._path, self._send = path, send
        lines = _lines(path) if resumed else []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")

    def __call__(self, metrics: Mapping[str, float], step: int) -> None:
        """Takes metrics of a step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **{name: float(value) for name, value in metrics.items()}}) + "\n")
        self._send(metrics, step)

    def read(self) -> dict[str, list[tuple[int, float]]]:
        """Metric -> `(step, value)` in the order of steps; of a step that was taken twice, the later value."""
        points_of: dict[str, dict[int, float]] = {}
        for line in _lines(self._path):
            for name, value in line.items():
                if name != "step":
                    points_of.setdefault(name, {})[int(line["step"])] = value
        return {name: sorted(points.items()) for name, points in points_of.items()}


def _lines(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            lines.append(json.loads(text))
    return lines

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from train.tracking.step_log import StepLog


def test_steps_are_kept_passed_on_and_found_again(tmp_path: Path) -> None:
    sent: list[tuple[int, float]] = []

    def send(metrics: Mapping[str, float], step: int) -> None:
        sent.append((step, metrics["loss"]))

    path = tmp_path / "run" / "steps.jsonl"
    first = StepLog(path, send, resumed=False)
    first({"loss": 3.0}, 1)
    first({"loss": 2.0}, 2)
    with path.open("a") as file:
        file.write('{"step": 3, "lo')  # the process was killed here
    again = StepLog(path, send, resumed=True)
    again({"loss": 1.5}, 2)
    again({"loss": 1.0}, 3)
    assert again.read() == {"loss": [(1, 3.0), (2, 1.5), (3, 1.0)]}
    assert sent == [(1, 3.0), (2, 2.0), (2, 1.5), (3, 1.0)]
    assert StepLog(path, send, resumed=False).read() == {}

"""What is measured beside other work has that work beside it, and only then."""

from __future__ import annotations

import psutil

from train.bench import neighbours


def test_loops_are_busy_while_it_is_measured_beside_them_and_gone_after() -> None:
    before = len(psutil.Process().children())
    loops: list[int] = []
    alone, beside = neighbours._beside("what", lambda: loops.append(len(psutil.Process().children()) - before), 10, 2)
    assert loops == [0, neighbours.LOOPS, 0, neighbours.LOOPS, neighbours.LOOPS, 0]
    assert len(psutil.Process().children()) == before
    assert (alone.name, alone.note) == ("alone", "1.00 times as long as alone")
    assert beside.note == f"{1 / beside.ratio:.2f} times as long as alone"

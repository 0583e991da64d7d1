"""How many threads an ONNX model gets where nobody says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from train.runtime import onnx


@pytest.mark.parametrize(
    ("asked", "quota", "expected"),
    [
        ("", "max 100000", 8),
        ("", "200000 100000", 2),
        ("", "50000 100000", 1),
        ("", "2000000 100000", 8),
        ("3", "200000 100000", 3),
        ("0", "200000 100000", 2),
        ("", None, 8),
    ],
)
def test_threads_are_those_asked_for_or_the_share_of_the_cores_that_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, quota: str | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(onnx, "CGROUP", tmp_path / "cpu.max")
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert onnx.cores_at_hand() == expected

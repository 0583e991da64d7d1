"""The table that `make test-slow` prints has what the tests told, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers import survival_rows
from tests.helpers.survival_rows import add_row, render


def test_what_was_told_is_in_the_table_with_each_fault_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survival_rows, "ROOT", tmp_path)
    monkeypatch.setattr(survival_rows, "SLOW", True)
    add_row("SIGKILL", "compose", "25 kills", 66.04)
    add_row("a full disk", "label", "3 parts kept | went on", 0)
    add_row("SIGKILL", "tune", "25 kills", 1394.0)
    assert render(tmp_path / "outputs" / "survival.jsonl").splitlines() == [
        "| fault | at what | tried | s |",
        "|---|---|---|---|",
        "| SIGKILL | compose | 25 kills | 66 |",
        "|  | tune | 25 kills | 1,394 |",
        "| a full disk | label | 3 parts kept \\| went on |  |",
        "",
        "`make test-slow`, 3 rows",
    ]


def test_a_sample_is_kept_apart_and_nothing_told_is_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survival_rows, "ROOT", tmp_path)
    monkeypatch.setattr(survival_rows, "SLOW", False)
    add_row("SIGKILL", "compose", "2 kills", 6.0)
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["survival-sample.jsonl"]
    assert render(tmp_path / "outputs" / "survival.jsonl").endswith("`make test-slow`, 0 rows")

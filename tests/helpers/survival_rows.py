"""What was tried, and came of it: rows in outputs/survival.jsonl, which `make test-slow` prints as a table (`python -m
tests.helpers.survival_rows`)."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.helpers.paths import ROOT

SLOW = bool(os.environ.get("NEWSPARTS_SLOW"))
"""Whether the long matrix runs (`make test-slow`), or a sample."""


def add_row(fault: str, what: str, tried: str, seconds: float) -> None:
    """Adds a row: nothing was lost, or the test would have failed before."""
    path = ROOT / "outputs" / ("survival.jsonl" if SLOW else "survival-sample.jsonl")
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"fault": fault, "what": what, "tried": tried, "seconds": round(seconds, 1)}) + "\n")


def render(rows: Path) -> str:
    """Rows that `add_row` wrote as a Markdown table, in their order but faults together; a fault is named once. Ends
    with the command, and how many rows there are."""
    found = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()] if rows.is_file() else []
    lines = ["| fault | at what | tried | s |", "|---|---|---|---|"]
    for fault in dict.fromkeys(row["fault"] for row in found):
        for i, row in enumerate(row for row in found if row["fault"] == fault):
            cells = [
                fault if i == 0 else "",
                row["what"],
                row["tried"],
                f"{row['seconds']:,.0f}" if row["seconds"] else "",
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", f"`make test-slow`, {len(found)} rows"])


def command_line_of(process: psutil.Process) -> str:
    """The command line of a process; nothing of one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


if __name__ == "__main__":
    from train.common.environment import machine
    from train.studies.results import Measured, save_rows

    slow = ROOT / "outputs" / "survival.jsonl"
    about = machine()
    text = f"{render(slow)}, {about['cpu']}, {about['cores']} cores, {datetime.now(UTC):%Y-%m-%d}\n"
    slow.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)
    if os.environ.get("RECORD") and slow.is_file():
        measured = {
            f"{row['fault']}: {row['what']}": Measured({"section": row["fault"], **row})
            for row in map(json.loads, slow.read_text(encoding="utf-8").splitlines())
        }
        save_rows("survival", measured, command="make test-slow")

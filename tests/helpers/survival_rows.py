"""What was tried, and came of it: rows of the README's table, in outputs/survival.jsonl."""

from __future__ import annotations

import json
import os

import psutil

from tests.helpers.paths import ROOT

SLOW = bool(os.environ.get("NEWSPARTS_SLOW"))
"""Whether the long matrix runs (`make test-slow`), or a sample."""


def tell(fault: str, what: str, tried: str, seconds: float) -> None:
    """Adds a row: nothing was lost, or the test would have failed before."""
    path = ROOT / "outputs" / ("survival.jsonl" if SLOW else "survival-sample.jsonl")
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"fault": fault, "what": what, "tried": tried, "seconds": round(seconds, 1)}) + "\n")


def said(process: psutil.Process) -> str:
    """The command line of a process; nothing of one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""

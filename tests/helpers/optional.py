"""What a machine may lack: tests that need it skip with a reason, and the run's last lines say which claims were not
tested here."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT, SHARED

REQUIRED = "NEWSPARTS_REQUIRED"
"""Names of parts that a run must not do without, as CI says once it has installed them: a test that lacks one fails."""
CHROMIUM = Path(os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium")
LABEL_STUDIO = ROOT / ".venv-label-studio/bin/python"


@dataclass(frozen=True)
class Part:
    """Something that tests can do without.

    Args:
        claim: What is not tested where it is absent.
        remedy: The command that brings it.
        present: Whether it is there.
    """

    claim: str
    remedy: str
    present: Callable[[], bool]


def _packages(*names: str) -> Callable[[], bool]:
    return lambda: all(importlib.util.find_spec(name) is not None for name in names)


PARTS = {
    "extractors": Part(
        "HTML labelled by two extractors that agree, and main text beside extractors",
        "make extractors",
        _packages("trafilatura", "readability"),
    ),
    "every extractor": Part(
        "main text beside each of the extractors that are compared",
        "make extractors",
        _packages("trafilatura", "readability", "resiliparse", "newspaper", "boilerpy3", "goose3", "justext"),
    ),
    "spark": Part(
        "labelling on Spark",
        "make spark, and Java 17 (apt-get install openjdk-17-jre-headless)",
        lambda: _packages("pyspark")() and shutil.which("java") is not None,
    ),
    "chromium": Part("reports and MLflow's pages in a browser", "apt-get install chromium", CHROMIUM.is_file),
    "postgresql": Part(
        "a team's store and searches on PostgreSQL (they are on SQLite)",
        "apt-get install postgresql, as root",
        lambda: os.geteuid() == 0 and bool(list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))),
    ),
    "label-studio": Part("our tasks against Label Studio's own code", "make .venv-label-studio", LABEL_STUDIO.is_file),
    "shared": Part(
        "parity, sources and scores on real labelled pages",
        "lay the pages of ../shared/data beside the checkout",
        lambda: bool(list((SHARED / "data").glob("pages-*.jsonl.gz"))),
    ),
    "referee": Part(
        "scores beside the referee's own (beside values by hand they are)",
        "lay the pages' score_pages.py in ../shared beside the checkout",
        (SHARED / "score_pages.py").is_file,
    ),
    "demo runs": Part(
        "MLflow's pages on the runs of a whole demo", "make demo test-ui", lambda: "NEWSPARTS_RUNS" in os.environ
    ),
    "mounts": Part(
        "a full disk and a read-only folder", "run as root where tmpfs can be mounted", lambda: os.geteuid() == 0
    ),
}


def need(name: str) -> None:
    """Skips the test, with the part's claim and remedy, where the part is absent; fails it where `NEWSPARTS_REQUIRED`
    names the part."""
    part = PARTS[name]
    if part.present():
        return
    if name in os.environ.get(REQUIRED, "").split(","):
        pytest.fail(f"{name} is required here and absent: {part.remedy}")
    pytest.skip(reason(name))


def reason(name: str) -> str:
    """Why a test is skipped that needs an absent part."""
    return f"missing: {name}; {PARTS[name].claim} is not tested here; {PARTS[name].remedy}"


def untested(reasons: Iterable[str], *, slow_left_out: bool) -> list[str]:
    """The run's last lines: what was not tested, how many tests that were, and the command that would.

    Args:
        reasons: Why each skipped test was skipped.
        slow_left_out: Whether slow tests were not even asked for.
    """
    counts = Counter(reasons)
    known = {reason(name): name for name in PARTS}
    lines = []
    for why, count in sorted(counts.items()):
        tests, name = f"{count} test{'s' * (count > 1)}", known.get(why)
        lines.append(
            f"  {why} ({tests})"
            if name is None
            else f"  {PARTS[name].claim} ({tests}; missing: {name}): {PARTS[name].remedy}"
        )
    if slow_left_out:
        lines.append(
            "  slow tests (every kill, Spark, notebooks, 10,000 damaged inputs, all architectures): make test-all"
        )
    return ["not tested here:", *lines] if lines else []


if __name__ == "__main__":  # what is here, as NEWSPARTS_REQUIRED names it
    print(",".join(name for name, part in PARTS.items() if part.present()))

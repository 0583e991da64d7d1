"""Contenders measured by turns in one process, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from train.corpus.page import Page
from train.corpus.read import read_pages
from train.corpus.splits.page_summary import page_summaries
from train.corpus.splits.split import split_by_site
from train.studies.results import Measured


@dataclass(frozen=True)
class Row:
    """One contender.

    Args:
        section: What was compared.
        name: The contender's name; the first of a section is what the others are compared with.
        rate: Units a second, median over rounds.
        unit: What is counted.
        ratio: How many times the first contender's rate: median over rounds of the rounds' own ratios.
        low: The least of these ratios.
        high: The greatest of them.
        note: What else was measured, e.g. a score.
    """

    section: str
    name: str
    rate: float
    unit: str
    ratio: float
    low: float
    high: float
    note: str = ""

    def measured(self) -> Measured:
        """The row as a record keeps it."""
        metrics = {name: getattr(self, name) for name in ("section", "rate", "unit", "ratio", "note")}
        return Measured(metrics, {"ratio": (self.low, self.high)})


def compare(
    section: str,
    contenders: Mapping[str, Callable[[], object]],
    amount: float,
    unit: str,
    *,
    rounds: int = 5,
    notes: Mapping[str, str] | None = None,
) -> list[Row]:
    """Runs every contender once a round, each round beginning with another one; one round before does not count.

    Args:
        section: What is compared.
        contenders: Name -> one run; the first is the reference.
        amount: Units that one run works through.
        unit: E.g. `segments`.
        rounds: The number of rounds that count.
        notes: Contender -> what else is said of it.
    """
    names = list(contenders)
    for name in names:
        contenders[name]()
    seconds = np.zeros((rounds, len(names)))
    for i in range(rounds):
        for k in range(len(names)):
            at = (i + k) % len(names)
            started = time.perf_counter()
            contenders[names[at]]()
            seconds[i, at] = time.perf_counter() - started
    ratios = seconds[:, :1] / seconds
    return [
        Row(
            section,
            name,
            float(np.median(amount / seconds[:, k])),
            unit,
            float(np.median(ratios[:, k])),
            float(ratios[:, k].min()),
            float(ratios[:, k].max()),
            (notes or {}).get(name, ""),
        )
        for k, name in enumerate(names)
    ]


def split_pages(corpus: Path) -> dict[str, list[Page]]:
    """The parts of a composed corpus, split by site."""
    pages = read_pages(corpus)
    return split_by_site(list(page_summaries(pages)), validation_share=0.15, test_share=0.25, seed=13).select(pages)


def in_own_process(module: str, *arguments: str, **environment: str) -> Any:
    """What a module of the bench prints last, as JSON, run in a process of its own.

    Args:
        module: The module's full name; run as a script, it prints one line of JSON.
        *arguments: Its command-line arguments.
        **environment: Variables of its environment, besides those of this process.

    Raises:
        RuntimeError: The process fails; the end of its errors is in the message.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def pinned(threads: int) -> dict[str, str]:
    """The environment of a process whose libraries use so many threads."""
    return dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))

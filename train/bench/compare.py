"""Contenders measured by turns in one process, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from train.common import markdown
from train.corpus.page import Page
from train.corpus.read import read_pages
from train.corpus.splits.page_summary import all_facts
from train.corpus.splits.split import split_by_site


@dataclass(frozen=True)
class Row:
    """One contender.

    Args:
        section: What was compared.
        name: Of the contender; the first of a section is what the others are compared with.
        rate: Units a second, median over rounds.
        unit: What is counted.
        ratio: How many times the first contender's rate: median over rounds of the rounds' own ratios.
        low: The least of these.
        high: The greatest.
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
        rounds: That count.
        notes: Of contenders.
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


def once(section: str, unit: str, rates: Mapping[str, float], notes: Mapping[str, str] | None = None) -> list[Row]:
    """Rows of what was measured once, beside the first."""
    first = next(iter(rates.values()))
    return [
        Row(section, name, rate, unit, ratio, ratio, ratio, (notes or {}).get(name, ""))
        for name, rate, ratio in ((name, rate, rate / first) for name, rate in rates.items())
    ]


def split_pages(corpus: Path) -> dict[str, list[Page]]:
    """The parts of a composed corpus, split by site."""
    pages = read_pages(corpus)
    return split_by_site(list(all_facts(pages)), validation_share=0.15, test_share=0.25, seed=13).select(pages)


def table(rows: list[Row]) -> str:
    """Rows as a Markdown table, a part for each section."""
    lines: list[list[str]] = []
    section = None
    for row in rows:
        if row.section != section:
            section = row.section
            lines.append([f"**{section}**", "", "", ""])
        rate = f"{row.rate:,.0f}" if row.rate >= 10 else f"{row.rate:.2f}"
        ratio = f"{row.ratio:.2f} ({row.low:.2f}–{row.high:.2f})" if row.ratio else "-"
        lines.append([row.name, f"{rate} {row.unit}", ratio, row.note])
    return markdown.table(["", "rate", "times the first (least–most of the rounds)", ""], lines)

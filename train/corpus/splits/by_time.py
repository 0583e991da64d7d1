"""Parts by time: train on the past, test on the future, sites still apart."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

from train.common.errors import InputError
from train.corpus.splits.page_summary import PageSummary


def parts_by_time(
    summaries: Sequence[PageSummary], groups: Sequence[Sequence[str]], shares: Mapping[str, float]
) -> tuple[dict[str, list[PageSummary]], dict[str, str]]:
    """Puts the groups of sites with the latest pages into test, those before into validation; then drops pages on the
    wrong side of the days that separate the parts.

    Args:
        summaries: The summaries of the pages; those without a date are in no part.
        groups: Groups of sites; no site is in two of them.
        shares: The share of dated pages for `train`, `validation` and `test`.

    Returns:
        The pages of each part, and its first day: `validation_from` and `test_from`, as `YYYY-MM-DD`.

    Raises:
        InputError: Fewer than three groups have dated pages, or a part would be empty.
    """
    dated = [page for page in summaries if page.date is not None]
    part_of = _part_of_sites(dated, groups, shares)
    chosen = {part: [page for page in dated if part_of[page.site] == part] for part in shares}
    first = _border(chosen["train"], chosen["validation"])
    second = max(first, _border(chosen["validation"], chosen["test"]))
    kept = {
        "train": [p for p in chosen["train"] if str(p.date) < first],
        "validation": [p for p in chosen["validation"] if first <= str(p.date) < second],
        "test": [p for p in chosen["test"] if str(p.date) >= second],
    }
    empty = [part for part in shares if not kept[part]]
    if empty:
        raise InputError(
            f"nothing is left for {' and '.join(empty)}: sites have pages of the same days",
            expected="sites whose pages are of other days",
            remedy="split by site alone (corpus.split_by: site)",
            rule="too-small-to-split",
        )
    return kept, {"validation_from": first, "test_from": second}


def _part_of_sites(
    dated: Sequence[PageSummary], groups: Sequence[Sequence[str]], shares: Mapping[str, float]
) -> dict[str, str]:
    """Site -> part, groups in the order of the median dates of their pages."""
    dates: defaultdict[str, list[str]] = defaultdict(list)
    for page in dated:
        dates[page.site].append(str(page.date))
    medians = sorted(
        (sorted(days)[len(days) // 2], group)
        for group in groups
        if (days := [d for site in group for d in dates[site]])
    )
    if len(medians) < len(shares):
        raise InputError(
            f"{len(medians)} groups of sites have pages with a date",
            expected="at least 3, dates written YYYY-MM-DD",
            remedy="add dates, or split by site alone",
            rule="too-small-to-split",
        )
    part_of: dict[str, str] = {}
    seen = 0.0
    for k, (_, group) in enumerate(medians):
        remaining = len(medians) - k
        before_test = shares["train"] + shares["validation"]
        part = "train" if seen < shares["train"] else "validation" if seen < before_test else "test"
        if "validation" not in part_of.values() and (part == "test" or remaining == 2):
            part = "validation"  # a large group may have stepped over it: what is tested must come later
        part = "test" if remaining == 1 else part
        part_of |= dict.fromkeys(group, part)
        seen += sum(len(dates[site]) for site in group) / len(dated)
    return part_of


def _border(earlier: Sequence[PageSummary], later: Sequence[PageSummary]) -> str:
    """The day that keeps the largest shares of the earlier pages before it and of the later ones from it on."""
    before, after = (sorted(str(page.date) for page in pages) for pages in (earlier, later))

    def kept(day: str) -> float:
        return bisect_left(before, day) / max(1, len(before)) - bisect_left(after, day) / max(1, len(after))

    return max(sorted({*before, *after}), key=kept)

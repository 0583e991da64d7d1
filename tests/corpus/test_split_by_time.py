"""The split by time: borders, and what is left out beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.helpers.page_summary import date_of, page_fact, part_sizes
from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.corpus.page import Page
from train.corpus.splits.page_summary import page_summaries, page_summary
from train.corpus.splits.split import PARTS, given_split, split_by_site

_days = st.lists(st.none() | st.integers(1, 9), min_size=1, max_size=6).filter(any)


def _kept_by(border: str, earlier: Sequence[str], later: Sequence[str]) -> float:
    return sum(day < border for day in earlier) / len(earlier) + sum(day >= border for day in later) / len(later)


@settings(max_examples=60)
@given(st.tuples(_days, _days, _days))
def test_by_time_pages_are_left_out_on_the_wrong_side_of_the_best_borders_alone(
    days: tuple[list[int | None], ...],
) -> None:
    known = [
        page_fact(f"s{s}-{n}", f"s{s}", date=date_of(day)) for s, own in enumerate(days) for n, day in enumerate(own)
    ]
    dates = {f"s{s}": sorted(str(date_of(day)) for day in own if day is not None) for s, own in enumerate(days)}
    home = dict(zip(sorted(dates, key=lambda site: (dates[site][len(dates[site]) // 2], site)), PARTS, strict=True))
    own = {part: dates[site] for site, part in home.items()}
    try:
        split = split_by_site(known, validation_share=0.25, test_share=0.25, seed=0, by_time=True)
    except InputError:
        assume(False)
    first, second = str(split.made_by["validation_from"]), str(split.made_by["test_from"])
    assert first < second
    tried = [f"2025-03-{number:02d}" for number in range(1, 10)]
    best = max(_kept_by(day, own["train"], own["validation"]) for day in tried)
    assert _kept_by(first, own["train"], own["validation"]) == pytest.approx(best)
    best = max(_kept_by(day, own["validation"], own["test"]) for day in tried)
    assert _kept_by(second, own["validation"], own["test"]) == pytest.approx(best)
    window = {"train": ("", first), "validation": (first, second), "test": (second, "9")}
    expected = {
        part: [f.page_id for f in known if home[f.site] == part and f.date is not None and begin <= f.date < end]
        for part, (begin, end) in window.items()
    }
    assert {part: [p.page_id for p in split.parts[part]] for part in PARTS} == expected
    kept = {page_id for ids in expected.values() for page_id in ids}
    assert split.left_out == tuple(f.page_id for f in known if f.page_id not in kept)


def test_a_page_of_the_border_day_is_in_no_training_part() -> None:
    known = [
        page_fact(f"{site}{n}", site, date=date_of(day))
        for site, own in (("a", (1, 2, 5)), ("b", (5, 5, 6, 8)), ("c", (8, 9)))
        for n, day in enumerate(own)
    ]
    split = split_by_site(known, validation_share=0.25, test_share=0.25, seed=0, by_time=True)
    assert (split.made_by["validation_from"], split.made_by["test_from"]) == (date_of(5), date_of(8))
    assert {part: [p.page_id for p in split.parts[part]] for part in PARTS} == {
        "train": ["a0", "a1"],
        "validation": ["b0", "b1", "b2"],
        "test": ["c0", "c1"],
    }
    assert split.left_out == ("a2", "b3")


@pytest.mark.parametrize(
    ("shares", "sizes"), [((0.25, 0.25), [8, 4, 4]), ((0.125, 0.25), [10, 2, 4]), ((0.25, 0.125), [10, 4, 2])]
)
def test_by_time_each_part_has_its_share_of_the_pages_the_latest_sites_in_the_test_part(
    shares: tuple[float, float], sizes: list[int]
) -> None:
    known = [page_fact(f"s{s}-{n}", f"s{s}", date=date_of(s + 1)) for s in range(8) for n in range(2)]
    split = split_by_site(known, validation_share=shares[0], test_share=shares[1], seed=0, by_time=True)
    assert part_sizes(split) == sizes
    assert [p.page_id for part in PARTS for p in split.parts[part]] == [p.page_id for p in known]


def _dated(site: str, number: int, date: str | None) -> Page:
    return replace(make_page(site, number), date=date)


def test_by_time_tests_on_the_future_and_on_other_sites() -> None:
    pages = [_dated(f"s{i}", n, f"2025-{i + 1:02d}-{n + 10}") for i in range(10) for n in range(4)]
    pages += [
        _dated("s0", 9, "2025-12-30"),
        _dated("s9", 9, "2025-01-01"),
        _dated("s4", 9, None),
        _dated("s5", 9, "yesterday"),
    ]
    split = split_by_site(list(page_summaries(pages)), validation_share=0.2, test_share=0.2, seed=0, by_time=True)
    days = {part: [str(p.date) for p in split.parts[part]] for part in PARTS}
    assert max(days["train"]) < min(days["validation"])
    assert max(days["validation"]) < min(days["test"])
    given_split(split.parts)
    assert set(split.left_out) == {"s0-9", "s9-9", "s4-9", "s5-9"}


def test_by_time_a_large_site_does_not_put_validation_behind_the_test_part() -> None:
    pages = [_dated("big", n, f"2024-01-{n % 28 + 1:02d}") for n in range(400)]
    pages += [
        _dated(f"s{i}", n, f"2025-{i // 2 + 1:02d}-{15 * (i % 2) + n + 1:02d}") for i in range(20) for n in range(2)
    ]
    split = split_by_site(list(page_summaries(pages)), validation_share=0.1, test_share=0.1, seed=0, by_time=True)
    assert len({page.site for page in split.parts["test"]}) == 19
    assert not split.left_out


def test_by_time_needs_days_that_part_the_sites() -> None:
    with pytest.raises(InputError, match="nothing is left"):
        split_by_site(
            [page_summary(_dated(f"s{i}", n, "2025-01-01")) for i in range(5) for n in range(3)],
            validation_share=0.2,
            test_share=0.2,
            seed=0,
            by_time=True,
        )
    with pytest.raises(InputError, match="0 groups of sites have pages with a date"):
        split_by_site(
            [page_summary(_dated(f"s{i}", 0, None)) for i in range(5)],
            validation_share=0.2,
            test_share=0.2,
            seed=0,
            by_time=True,
        )

"""What the population stability index of unshifted pages is: by how many sites are compared, and how
seldom it alarms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations, count, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.common.errors import InputError
from train.monitoring import drift
from train.monitoring.drift import compare
from train.monitoring.profile import Profile
from train.runtime.text import ROLES


def _roles(counts: Sequence[Sequence[int]], sites: Sequence[int]) -> Profile:
    """A profile of one feature: segments of each role, page by page."""
    return Profile({}, {"role": ROLES}, {"role": np.array(counts, np.int64)}, np.array(sites, np.int64))


def _shares(counts: Iterable[float]) -> list[float]:
    """Shares of bins, half a segment added to each: no bin is ever empty."""
    smoothed = [n + 0.5 for n in counts]
    return [n / sum(smoothed) for n in smoothed]


def _index(before: Iterable[float], now: Iterable[float]) -> float:
    """The population stability index by its definition."""
    return sum((q - p) * math.log(q / p) for p, q in zip(_shares(before), _shares(now), strict=True))


def _summed(rows: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]


SITES = [[9, 1, 0], [7, 2, 1], [5, 5, 0], [4, 1, 5], [2, 6, 2], [1, 1, 8], [3, 3, 4]]
"""Segments of each role on the pages of seven sites."""


def _largest_index(drawn: int) -> float:
    """Over all ways to part the seven sites into so many and the rest."""
    ways = [set(way) for way in combinations(range(7), drawn)]
    parted = [([SITES[i] for i in range(7) if i not in way], [SITES[i] for i in way]) for way in ways]
    return max(_index(_summed(rest), _summed(some)) for rest, some in parted)


@pytest.mark.parametrize("new", [1, 2, 3, 4, 7, 14, 60])
def test_the_usual_index_is_scaled_to_the_numbers_of_sites_that_are_compared(new: int) -> None:
    """An index of a new site's pages beside R reference sites falls as 1/new + 1/R: of the samples no more than half
    the sites are drawn."""
    drawn = min(new, 3)
    expected = _largest_index(drawn) * (1 / new + 1 / 7) / (1 / drawn + 1 / (7 - drawn))
    (shift,) = compare(_roles(SITES, range(7)), _roles([[1, 1, 1]] * (20 * new), list(range(new)) * 20), resamples=600)
    assert shift.usual == pytest.approx(expected, rel=1e-9), (
        "each of at most 35 ways is drawn more often than once in a hundred"
    )


def test_a_sample_has_as_many_pages_a_site_as_the_new_pages() -> None:
    """Two unlike pages on each of six sites: sites drawn whole are all alike, sites of one drawn page are not."""
    reference = _roles([[10, 0, 0], [0, 10, 0]] * 6, [site for site in range(6) for _ in range(2)])
    draws = product(([10, 0, 0], [0, 10, 0]), repeat=3)
    expected = max(_index([30, 30, 0], _summed(draw)) for draw in draws) * (1 / 20 + 1 / 6) / (1 / 3 + 1 / 3)
    (one_page,) = compare(reference, _roles([[1, 1, 0]] * 20, range(20)), resamples=200)
    assert one_page.usual == pytest.approx(expected)
    (two_pages,) = compare(
        reference, _roles([[1, 1, 0]] * 40, [site for site in range(20) for _ in range(2)]), resamples=200
    )
    assert two_pages.usual == pytest.approx(0)


@pytest.mark.parametrize(
    ("sites", "usual_pages", "expected"),
    [
        ([0, 0, 1, 1], 2.0, (2.0, 2.0)),
        ([0, 0, 0, 1], 2.0, (16 / 10, 4 / 1.6)),
        ([-1] * 10, 5.0, (2.0, 5.0)),
        ([0] * 5 + [-1] * 10, 5.0, (3.0, 5.0)),
        ([-1] * 2, 5.0, (1.0, 2.0)),
    ],
    ids=["equal", "one has most", "none known", "some known", "fewer than one site's"],
)
def test_unequal_and_unknown_sites_count_as_fewer_equal_ones(
    sites: list[int], usual_pages: float, expected: tuple[float, float]
) -> None:
    assert drift._effective_sites(np.array(sites), usual_pages) == pytest.approx(expected)


@pytest.mark.parametrize("features", [1, 2, 4])
def test_false_alarms_are_shared_by_all_features(features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One set of pages in a hundred may be called shifted, whichever feature it is by: each gets its part of that."""
    numbers = count()
    monkeypatch.setattr(drift, "_psi", lambda before, now: float(next(numbers) // features))
    names = [f"feature {i}" for i in range(features)]
    reference, new = (
        Profile({}, dict.fromkeys(names, ROLES), dict.fromkeys(names, np.ones((n, 3), np.int64)), np.arange(n) % sites)
        for n, sites in ((6, 6), (60, 3))
    )
    usual = {shift.feature: shift.usual for shift in compare(reference, new, resamples=1_001)}
    scale = (1 / 3 + 1 / 6) / (1 / 3 + 1 / 3)
    assert usual == {name: pytest.approx(1_000 * (1 - 0.01 / features) * scale) for name in names}


@given(
    before=st.lists(st.integers(0, 50), min_size=3, max_size=3),
    now=st.lists(st.integers(0, 50), min_size=3, max_size=3),
)
def test_a_feature_is_told_with_its_shares_its_index_and_its_distance(before: list[int], now: list[int]) -> None:
    reference, new = _roles([before, *([[0, 0, 0]] * 5)], range(6)), _roles([now, *([[0, 0, 0]] * 19)], range(20))
    (shift,) = compare(reference, new, resamples=1)
    p, q = _shares(before), _shares(now)
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    halves = [sum(a * math.log2(a / m) for a, m in zip(side, middle, strict=True)) / 2 for side in (p, q)]
    assert (shift.feature, list(shift.bins)) == ("role", list(ROLES))
    assert list(shift.before) == pytest.approx(p)
    assert list(shift.now) == pytest.approx(q)
    assert shift.psi == pytest.approx(_index(before, now), abs=1e-12)
    assert shift.js == pytest.approx(math.sqrt(max(0.0, sum(halves))), abs=1e-6)


def test_a_shift_is_above_what_is_usual_and_above_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    index = {"large and unusual": 0.5, "large and usual": 0.4, "small and unusual": 0.09, "nothing": 0.0}
    usual = {"large and unusual": 0.49, "large and usual": 0.41, "small and unusual": 0.01, "nothing": 0.2}
    monkeypatch.setattr(drift, "_usual", lambda *_: usual)
    told = iter(index.values())
    monkeypatch.setattr(drift, "_psi", lambda *_: next(told))
    some = Profile({}, dict.fromkeys(index, ROLES), dict.fromkeys(index, np.ones((20, 3), np.int64)), np.arange(20))
    shifts = compare(some, some)
    assert [shift.feature for shift in shifts] == list(index), "the largest index first"
    assert {shift.feature for shift in shifts if shift.shifted} == {"large and unusual"}
    assert {shift.feature: shift.usual for shift in shifts} == usual


Sizes = list[int]


KINDS: dict[str, tuple[Sizes, Sizes, bool]] = {
    "few sites": ([4] * 40, [4] * 6, True),
    "more sites than the reference": ([4] * 30, [1] * 100, True),
    "sites not known": ([20] * 20, [20] * 10, False),
    "one site has nearly all pages": ([4] * 40, [200, *([1] * 9)], True),
    "one page a site": ([1] * 60, [3] * 40, True),
}
"""Pages of each reference site, of each new site, and whether new sites are known."""


def _drawn(rng: np.random.Generator, sizes: Sizes, *, known: bool = True) -> Profile:
    """Pages of 40 segments whose sites differ much in how many of them are of which role."""
    counts = [rng.multinomial(40, rng.dirichlet([1.5, 1.5, 3]), size=size) for size in sizes]
    return _roles(
        np.concatenate(counts).tolist(),
        np.repeat(np.arange(len(sizes)), sizes).tolist() if known else [-1] * sum(sizes),
    )


def _calibration(kind: str, *, trials: int, resamples: int) -> tuple[int, float]:
    """How often unshifted pages are called shifted, and how far below what is usual their mean index is."""
    reference, new, known = KINDS[kind]
    rng = np.random.default_rng(7)
    shifts = [
        compare(_drawn(rng, reference), _drawn(rng, new, known=known), seed=trial, resamples=resamples)[0]
        for trial in range(trials)
    ]
    return sum(shift.shifted for shift in shifts), float(
        np.mean([s.psi for s in shifts]) / np.mean([s.usual for s in shifts])
    )


@pytest.mark.parametrize("kind", KINDS)
def test_usual_pages_are_seldom_called_shifted_and_their_bound_is_no_wider_than_it_must_be(kind: str) -> None:
    """Sites differ much from each other here: a threshold for independent segments would call nearly every sample
    shifted."""
    alarms, mean = _calibration(kind, trials=20, resamples=80)
    assert alarms <= 2
    assert 0.12 < mean < 0.4, "an index of two degrees of freedom is above 4.6 times its mean in one case of a hundred"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_of_many_usual_samples_one_in_a_hundred_is_called_shifted(kind: str) -> None:
    alarms, mean = _calibration(kind, trials=100, resamples=200)
    assert alarms <= 5
    assert 0.15 < mean < 0.35


@pytest.mark.slow
def test_pages_of_more_sites_than_were_guessed_are_seldom_called_shifted() -> None:
    """Of no known site, 200 pages count as ten sites of the reference's size, though each may be of a site of its
    own."""
    rng = np.random.default_rng(7)
    found = [
        compare(_drawn(rng, [20] * 20), _drawn(rng, [1] * 200, known=False), seed=trial, resamples=100)
        for trial in range(30)
    ]
    assert sum(shift.shifted for (shift,) in found) == 0


def test_nineteen_pages_are_too_few_and_twenty_are_not() -> None:
    reference = _roles(SITES, range(7))
    with pytest.raises(InputError, match="19 pages"):
        compare(reference, _roles([[1, 1, 1]] * 19, range(19)))
    assert compare(reference, _roles([[1, 1, 1]] * 20, range(20)), resamples=1)

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, count, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.commands import train
from tests.helpers.pages import make_page
from tests.helpers.toys import toy_baseline
from train.common.errors import InputError
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages
from train.monitoring import drift
from train.monitoring.drift import compare
from train.monitoring.profile import Profile, known_words, profile, read_reference, thinned, write_reference
from train.runtime.text import ROLES

NO_WORDS = np.zeros(0, np.uint32)


@pytest.fixture(scope="module")
def model(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_baseline(corpus, tmp_path_factory.mktemp("drift"), "corpus.test_share=0.4").output


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resamples enough for what is far from the bound."""
    monkeypatch.setattr(drift, "compare", partial(compare, resamples=60))


def _written(folder: Path, pages: list[Page]) -> str:
    write_pages(
        folder / "new.jsonl", [replace(page, segments=tuple(Segment(text) for text in page.texts)) for page in pages]
    )
    return str(folder / "new.jsonl")


@pytest.mark.usefixtures("few_samples")
def test_pages_of_new_sites_of_the_same_kind_are_no_shift(model: Path, tmp_path: Path) -> None:
    pages = [make_page(f"fresh{s}", n) for s in range(8) for n in range(6)]
    done = train("drift", "--model", str(model), _written(tmp_path, pages), "--output", str(tmp_path / "drift.html"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No shift found" in (tmp_path / "drift.html").read_text()


@pytest.mark.usefixtures("few_samples")
@pytest.mark.parametrize(
    ("feature", "change"),
    [
        (
            "words a segment",
            lambda page: replace(page, segments=tuple(s for s in page.segments for _ in range(3) if len(s.text) < 60)),
        ),
        (
            "unknown words",
            lambda page: replace(
                page,
                segments=tuple(replace(s, text=s.text.translate(str.maketrans("aeo", "øåü"))) for s in page.segments),
            ),
        ),
        ("segments a page", lambda page: replace(page, segments=page.segments * 8)),
    ],
)
def test_shifted_pages_are_flagged(model: Path, tmp_path: Path, feature: str, change: Callable[[Page], Page]) -> None:
    pages = [change(make_page(f"<b>{s}", n)) for s in range(8) for n in range(6)]
    done = train("drift", "--model", str(model), _written(tmp_path, pages), "--output", str(tmp_path / "drift.html"))
    assert done.returncode == 1, done.stdout + done.stderr
    shifted = {line.split("  ")[0].strip() for line in done.stdout.splitlines() if " shifted " in line}
    assert feature in shifted
    shown = (tmp_path / "drift.html").read_text()
    assert feature in shown.partition("Shifted: ")[2].partition("</b>")[0]
    assert "<script" not in shown


def test_few_pages_and_bundles_without_a_profile_are_refused(model: Path, tmp_path: Path) -> None:
    done = train(
        "drift",
        "--model",
        str(model),
        _written(tmp_path, [make_page("a", n) for n in range(5)]),
        "--output",
        str(tmp_path / "d.html"),
    )
    assert (done.returncode, "fewer prove nothing" in done.stderr) == (2, True)
    with pytest.raises(InputError, match="no reference profile"):
        read_reference(tmp_path)


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


def test_a_reference_of_few_sites_or_of_another_version_is_refused(tmp_path: Path) -> None:
    record = {"segments": [{"text": "a few words", "role": "main", "confidence": 0.5}], "stories": []}
    few = profile([(f"s{i % 5}", record) for i in range(30)], NO_WORDS, ())
    new = profile([("n", record)] * 30, NO_WORDS, (), few)
    with pytest.raises(InputError, match="a reference of 5 sites"):
        compare(few, new)
    enough = profile([(f"s{i % 6}", record) for i in range(30)], NO_WORDS, ())
    assert compare(enough, new, resamples=1)
    with pytest.raises(InputError, match="does not know"):
        compare(profile([(f"s{i}", record) for i in range(30)], NO_WORDS, ("sport",)), new)
    (tmp_path / "profile.json").write_text('{"sites": [], "features": {}}')
    with pytest.raises(InputError, match="does not know"):
        Profile.read(tmp_path / "profile.json")


def test_nineteen_pages_are_too_few_and_twenty_are_not() -> None:
    reference = _roles(SITES, range(7))
    with pytest.raises(InputError, match="19 pages"):
        compare(reference, _roles([[1, 1, 1]] * 19, range(19)))
    assert compare(reference, _roles([[1, 1, 1]] * 20, range(20)), resamples=1)


def test_a_thinned_reference_of_many_sites_can_be_compared() -> None:
    record = {"segments": [{"text": "a few words", "role": "main", "confidence": 0.5}], "stories": []}
    many = thinned(profile([(f"s{i}", record) for i in range(2_600)], NO_WORDS, ()))
    assert len(many.sites) == 2_000
    assert not any(
        shift.shifted for shift in compare(many, profile([("one", record)] * 40, NO_WORDS, (), many), resamples=20)
    )


def test_a_profile_survives_its_file_and_thinning_keeps_every_site(tmp_path: Path) -> None:
    record = {
        "segments": [{"text": "a few words", "role": "main", "confidence": 0.5}],
        "stories": [{"story": 0, "topic": "sport"}],
    }
    found = profile([(f"s{i // 10}", record) for i in range(500)], NO_WORDS, ("business", "sport"))
    found.write(tmp_path / "profile.json")
    json.loads((tmp_path / "profile.json").read_text())
    again = type(found).read(tmp_path / "profile.json")
    assert all((again.counts[name] == rows).all() for name, rows in found.counts.items())
    assert again.sites.tolist() == found.sites.tolist()
    assert found.counts["topic of the main story"].sum(axis=0).tolist() == [0, 500, 0]
    assert {name: tuple(row) for name, row in again.borders.items()} == {
        name: tuple(row) for name, row in found.borders.items()
    }
    assert found.counts["unknown words"].sum(axis=0)[-2] == 500
    few = thinned(found, 100)
    assert len(few.sites) == 100
    assert len(np.unique(few.sites)) == 50


def _record(*segments: tuple[str, str, float], topics: Sequence[tuple[int, str]] = ()) -> dict[str, Any]:
    return {
        "segments": [{"text": text, "role": role, "confidence": sure} for text, role, sure in segments],
        "stories": [{"story": story, "topic": topic} for story, topic in topics],
    }


def test_a_profile_counts_what_each_page_shows() -> None:
    words = known_words([["Ferry sails", "again"], ["the ferry", "SAILS on"], ["alone"]])
    assert len(words) == 2, "words of two pages or more: ferry and sails"
    pages = [
        (
            "a",
            _record(
                ("Ferry sails home", "main", 0.96), ("Menu", "boilerplate", 0.4), topics=[(1, "business"), (0, "sport")]
            ),
        ),
        ("b", _record(("one two three four five six", "main", 0.99), ("ferry", "main", 0.6), topics=[(0, "business")])),
        ("", _record(("Menu", "boilerplate", 0.55), ("More on this", "related", 0.85))),
        ("a", _record()),
    ]
    found = profile(pages, words, ("business", "sport"))
    assert found.sites.tolist() == [0, 1, -1, 0]
    assert found.counts["role"].tolist() == [[1, 0, 1], [2, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert found.counts["topic of the main story"].tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert list(found.labels["topic of the main story"]) == ["business", "sport", "no main story"]
    # Borders 2, 3, 6, …: one word is below the first, three are at the second, six at the third.
    assert found.counts["words a segment"][:, :4].tolist() == [[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert list(found.labels["words a segment"])[:3] == ["below 2", "2 to 3", "3 to 6"]
    # Borders 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99: one that is met belongs to the bin above it.
    sure = [[1, 0, 0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0, 0, 0], [0] * 8]
    assert found.counts["confidence"].tolist() == sure

    def values(name: str, *expected: float) -> None:
        """Each page is in the bin that its value lies in."""
        bins = [list(np.flatnonzero(row)) for row in found.counts[name]]
        assert bins == [[int(np.searchsorted(found.borders[name], value, side="right"))] for value in expected], name

    values("segments a page", 2, 2, 2, 0)
    values("words of the main story", 3, 7, 0, 0)
    unknown = [np.flatnonzero(row).tolist() for row in found.counts["unknown words"]]
    borders = found.borders["unknown words"]
    assert unknown[:3] == [
        [int(np.searchsorted(borders, value, side="right"))] for value in (1 - 2 / 4, 1 - 1 / 7, 1.0)
    ]
    assert unknown[3] == [], "a page without words tells nothing of them"


def test_a_page_feature_has_a_fifth_of_the_reference_in_each_bin_and_none_outside() -> None:
    pages = [(f"s{n}", _record(*[("some words", "main", 0.9)] * n)) for n in range(1, 101)]
    found = profile(pages, NO_WORDS, ())
    assert found.counts["segments a page"].sum(axis=0).tolist() == [0, 20, 20, 20, 20, 20, 0]
    new = profile([("n", _record()), ("n", _record(*[("some words", "main", 0.9)] * 500))], NO_WORDS, (), found)
    assert new.counts["segments a page"].sum(axis=0).tolist() == [1, 0, 0, 0, 0, 0, 1], (
        "what the reference has never seen"
    )
    assert new.borders == found.borders


class _Ahead:
    """A labeler that takes all pages before it answers the first."""

    family, version, topics = "baseline", "v1", ("sport",)

    def label(self, pages: Iterable[tuple[str, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        for page_id, texts in list(pages):
            yield {"page_id": page_id, **_record(*((text, "main", 0.9) for text in texts), topics=[(0, "sport")])}


def test_new_pages_are_labelled_and_compared_with_the_bundles_reference_site_by_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = [
        (f"r{n % 8}", _record(*[("some words", "main", 0.9)] * (2 + n % 3), topics=[(0, "sport")])) for n in range(24)
    ]
    written = write_reference(tmp_path, [["some words"], ["some words"]], reference, ("sport",))
    assert sorted(path.name for path in written) == ["known-words.npy", "profile.json"]
    assert read_reference(tmp_path)[1].tolist() == known_words([["some words"]] * 2).tolist()
    monkeypatch.setattr("train.inference.resolve.load_labeler", lambda folder: _Ahead())
    monkeypatch.setattr("train.inference.resolve.bundle_folder", lambda name: tmp_path)
    given: list[tuple[Profile, Profile, int]] = []
    whole = compare

    def spy(known: Profile, new: Profile, *, seed: int = 0, resamples: int = 400) -> list[drift.Shift]:
        given.append((known, new, seed))
        return whole(known, new, seed=seed, resamples=10)

    monkeypatch.setattr(drift, "compare", spy)
    sites = ["a", "b", "b", "", "c"] * 5
    pages = [Page(f"p{i}", site, (Segment("some words"),) * (2 + i % 3)) for i, site in enumerate(sites)]
    found = drift.check_drift("models:/x", pages, seed=5)
    ((known, new, seed),) = given
    assert (found.model, found.pages, found.sites, seed) == ("baseline v1", 25, 3, 5)
    assert known.sites.tolist() == [n % 8 for n in range(24)]
    assert new.sites.tolist() == [{"a": 0, "b": 1, "": -1, "c": 2}[site] for site in sites]
    assert new.counts["role"].tolist() == [[2 + i % 3, 0, 0] for i in range(25)]
    assert new.counts["unknown words"].tolist() == known.counts["unknown words"][:1].tolist() * 25, (
        "every word is known"
    )


def test_the_command_fails_where_pages_have_shifted_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    corpus = _written(tmp_path, [make_page("a", n) for n in range(3)])
    for shifted in (False, True):
        shift = drift.Shift("role", 0.3, 0.2, 0.25, shifted, ROLES, (0.5, 0.3, 0.2), (0.2, 0.3, 0.5))
        told = SimpleNamespace(model="baseline v1", pages=3, sites=1, shifts=[shift])
        monkeypatch.setattr(drift, "check_drift", lambda *_, told=told, **__: told)
        done = train("drift", "--model", "m", corpus, "--output", str(tmp_path / "drift.html"))
        assert done.returncode == int(shifted), done.stderr
        assert ("Shifted: role." in (tmp_path / "drift.html").read_text()) == shifted


def test_the_profile_of_a_process_is_that_of_another() -> None:
    """Python's own hashes of texts differ between processes."""
    code = "from train.monitoring.profile import known_words; print(known_words([['Two words here']] * 2).tolist())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(known_words([["Two words here"]] * 2).tolist())

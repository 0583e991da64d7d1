from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.helpers.pages import make_page
from train.corpus import split as splitting
from train.corpus.facts import PageFacts, all_facts, facts, story_passages
from train.corpus.overlap import components, passages, prints, relatives, shared_passages, words
from train.corpus.page import Page, Segment
from train.corpus.split import PARTS, Split, describe, folds, given_split, read_split, split_by_site
from train.errors import InputError
from train.files import write_json

STORY = "On Tuesday the council voted to keep the old swimming baths open for another winter, although the boiler is older than most of those who swim there and nobody could say what a new one would cost the town."


@pytest.mark.parametrize("seed", range(5))
def test_no_site_is_in_two_parts_and_no_page_is_lost(pages: list[Page], seed: int) -> None:
    split = split_by_site(list(all_facts(pages)), validation_share=0.2, test_share=0.3, seed=seed)
    homes = Counter(site for part in PARTS for site in {page.site for page in split.parts[part]})
    assert set(homes.values()) == {1}
    assert Counter(p.page_id for part in PARTS for p in split.parts[part]) == Counter(p.page_id for p in pages)
    assert [len(split.parts[part]) for part in PARTS] == [36, 12, 24]


def test_the_same_seed_gives_the_same_split_and_hash(pages: list[Page]) -> None:
    first, again, other = (split_by_site(list(all_facts(pages)), validation_share=0.2, test_share=0.3, seed=s) for s in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256


def _with_story(page: Page) -> Page:
    return page.with_segments((*page.segments, Segment(f"Photo: N. N. {STORY} Join our channel.", "related", 9)))


def test_sites_that_share_a_story_stay_together(pages: list[Page]) -> None:
    shared = [_with_story(page) if page.page_id in ("sitea-0", "sited-2", "sitek-1") else page for page in pages]
    split = split_by_site(list(all_facts(shared)), validation_share=0.2, test_share=0.3, seed=3)
    homes = [
        {part for part in PARTS if any(p.site == f"{site}.example" for p in split.parts[part])} for site in ("sitea", "sited", "sitek")
    ]
    assert homes[0] == homes[1] == homes[2]
    assert split.linked_sites == (("sitea.example", "sited.example", "sitek.example"),)
    assert split.shared_stories() == 0
    torn = {"train": _of_site(shared, "sitea"), "validation": _of_site(shared, "sitek"), "test": _of_site(shared, "sited")}
    assert Split(torn).shared_stories() == 2, "the copies in the validation and the test part"


def _of_site(pages: Sequence[Page], site: str) -> list[PageFacts]:
    return [fact for fact in all_facts(pages) if fact.site == f"{site}.example"]


def _fact(page_id: str, site: str, *passages: int, date: str | None = None) -> PageFacts:
    """Facts of a page of two segments that holds these passages."""
    return PageFacts(page_id, site, date, (1, 0, 1), (), np.array(sorted(passages), np.uint64))


@pytest.mark.parametrize(
    ("train", "validation", "test", "shared"),
    [
        ([[1], [2]], [[3]], [[4], []], 0),
        ([[1, 1], [1]], [[3], [3]], [[4], [4]], 0),
        ([[1]], [[3]], [[1]], 1),
        ([[1]], [[1]], [[4]], 1),
        ([[1], [1]], [[2]], [[1], [1], [5]], 2),
        ([[9]], [[7]], [[7], [8]], 2),
        ([[1, 2, 3]], [[4]], [[1, 2, 3]], 1),
        ([[1]], [[1]], [[1]], 2),
        ([[1]], [[2]], [[2, 1]], 2),
        ([], [], [], 0),
    ],
)
def test_shared_stories_counts_the_unseen_pages_with_a_passage_of_another_part(
    train: list[list[int]], validation: list[list[int]], test: list[list[int]], shared: int
) -> None:
    parts = {
        part: [_fact(f"{part}-{i}", part, *set(held)) for i, held in enumerate(pages)]
        for part, pages in zip(PARTS, (train, validation, test), strict=True)
    }
    assert Split(parts).shared_stories() == shared


_held_by_pages = st.lists(st.lists(st.integers(0, 8), max_size=3, unique=True), max_size=4)


@given(st.tuples(_held_by_pages, _held_by_pages, _held_by_pages))
def test_shared_stories_is_what_comparing_every_pair_of_pages_gives(held: tuple[list[list[int]], ...]) -> None:
    parts = {part: [_fact(f"{part}-{i}", part, *own) for i, own in enumerate(pages)] for part, pages in zip(PARTS, held, strict=True)}
    leaking = {
        page.page_id
        for (one, these), (other, those) in combinations(parts.items(), 2)
        for a in these
        for b in those
        if set(a.passages) & set(b.passages)
        for page, part in ((a, one), (b, other))
        if part != "train"
    }
    assert Split(parts).shared_stories() == len(leaking)


def test_a_passage_on_more_sites_than_is_common_ties_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "COMMON_SITES", 3)
    copied = [_fact(f"{site}{n}", site, 1) for site in "abc" for n in range(3)]
    footers = [_fact(f"{site}{n}", site, 2, 10 * ord(site) + n) for site in "defg" for n in range(2)]
    pair = [_fact(f"{site}{n}", site, 3) for site in "hi" for n in range(5)]
    split = split_by_site([*copied, *footers, *pair], validation_share=0.2, test_share=0.2, seed=0)
    assert split.linked_sites == (("a", "b", "c"), ("h", "i"))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.lists(st.integers(0, 6), max_size=3, unique=True)), max_size=12), st.integers(2, 4))
def test_sites_are_tied_that_a_chain_of_uncommon_passages_connects(pages: list[tuple[str, list[int]]], common: int) -> None:
    lone = [_fact(site, site) for site in ("x", "y", "z")]
    known = [*lone, *(_fact(f"{site}-{i}", site, *own) for i, (site, own) in enumerate(pages))]
    holders: defaultdict[int, set[str]] = defaultdict(set)
    for site, own in pages:
        for passage in own:
            holders[passage].add(site)
    groups = [{site} for site in sorted({fact.site for fact in known})]
    for sites in holders.values():
        if len(sites) <= common:
            joined = [group for group in groups if group & sites]
            groups = [group for group in groups if not group & sites] + [set().union(*joined)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "COMMON_SITES", common)
        patch.setattr(splitting, "SWAPS", 0)
        split = split_by_site(known, validation_share=0.2, test_share=0.2, seed=0)
    assert split.linked_sites == tuple(sorted(tuple(sorted(group)) for group in groups if len(group) > 1))
    for group in groups:
        assert sum(any(page.site in group for page in split.parts[part]) for part in PARTS) == 1


def test_shared_boilerplate_does_not_tie_sites() -> None:
    page = Page("p", "s", (Segment(STORY, "boilerplate"),))
    assert len(story_passages(page)) == 0


def test_too_few_sites_to_split() -> None:
    pages = [make_page(site, n) for site in ("one", "two") for n in range(4)]
    with pytest.raises(InputError, match="2 groups of sites") as caught:
        split_by_site(list(all_facts(pages)), validation_share=0.2, test_share=0.2, seed=0)
    assert caught.value.rule == "too-small-to-split"


def test_three_sites_fill_three_parts() -> None:
    pages = [make_page(site, n) for site in ("one", "two", "three") for n in range(4)]
    split = split_by_site(list(all_facts(pages)), validation_share=0.1, test_share=0.1, seed=0)
    assert all(split.parts[part] for part in PARTS)


def test_a_site_in_two_given_parts_is_refused() -> None:
    pages = {"train": make_page("one", 0), "validation": make_page("two", 0), "test": make_page("one", 1)}
    parts = {part: [facts(page)] for part, page in pages.items()}
    with pytest.raises(InputError, match=r"site 'one\.example' is in train and test"):
        given_split(parts)


@given(st.integers(0, 30), st.integers(40, 80))
def test_a_passage_leaves_its_prints_wherever_it_stands(before: int, length: int) -> None:
    words = [f"word{i * 7919 % 1009}" for i in range(length)]
    alone, inside = prints(" ".join(words)), prints(" ".join([*("noise" + str(i) for i in range(before)), *words, "tail"]))
    assert alone <= inside


def test_relatives_and_components() -> None:
    items = [{1, 2, 3, 4, 5}, {9}, {2, 3, 4, 5, 6}, {5, 6}]
    assert dict(relatives(items)) == {(0, 2): 4}
    assert components(5, [(0, 2), (2, 4)]) == [[0, 2, 4], [1], [3]]


def test_parts_are_alike_in_their_mix_of_roles() -> None:
    # Half of the sites show many related items, half none: each part must get both kinds.
    pages = [make_page(f"s{i}", n, related=8 * (i % 2)) for i in range(16) for n in range(3)]
    split = split_by_site(list(all_facts(pages)), validation_share=0.25, test_share=0.25, seed=0)
    shares = [roles[1] / segments for _, _, _, segments, roles in describe(split)]
    assert max(shares) - min(shares) < 0.02


@pytest.mark.parametrize("count", [2, 5])
def test_every_page_is_tested_in_one_fold(pages: list[Page], count: int) -> None:
    made = folds(list(all_facts(pages)), count=count, validation_share=0.2, seed=1)
    assert Counter(p.page_id for split in made for p in split.parts["test"]) == Counter(p.page_id for p in pages)
    for split in made:
        given_split(split.parts)
        assert all(split.parts[part] for part in PARTS)
        assert len({p.page_id for part in PARTS for p in split.parts[part]}) == len(pages)


def _sizes(split: Split) -> list[int]:
    return [len(split.parts[part]) for part in PARTS]


@pytest.mark.parametrize(
    ("count", "share", "sizes"), [(5, 0.25, [24, 8, 8]), (5, 0.5, [16, 16, 8]), (4, 0.2, [24, 6, 10]), (2, 0.1, [18, 2, 20])]
)
def test_folds_give_validation_its_share_of_the_pages_that_are_not_tested(count: int, share: float, sizes: list[int]) -> None:
    known = [_fact(f"s{site}-{n}", f"s{site}") for site in range(20) for n in range(2)]
    for split in folds(known, count=count, validation_share=share, seed=3):
        assert _sizes(split) == sizes


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 2), min_size=8, max_size=10), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=1),
    st.integers(2, 4), st.integers(0, 99),
)  # fmt: skip
def test_every_page_and_site_is_tested_once_and_the_parts_of_a_fold_share_nothing(
    pages: list[int], copies: list[tuple[int, int]], count: int, seed: int
) -> None:
    copied = {site: 1000 + i for i, pair in enumerate(copies) for site in pair}
    known = [_fact(f"s{s}-{n}", f"s{s}", *([copied[s]] if s in copied else [])) for s, many in enumerate(pages) for n in range(many)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "SWAPS", 20)
        made = folds(known, count=count, validation_share=0.3, seed=seed)
    assert len(made) == count
    assert Counter(p.page_id for split in made for p in split.parts["test"]) == Counter(p.page_id for p in known)
    assert Counter(site for split in made for site in {p.site for p in split.parts["test"]}) == Counter({p.site for p in known})
    for split in made:
        assert Counter(p.page_id for part in PARTS for p in split.parts[part]) == Counter(p.page_id for p in known)
        assert all(not {p.site for p in split.parts[a]} & {p.site for p in split.parts[b]} for a, b in combinations(PARTS, 2))
        assert split.shared_stories() == 0
        assert all(_sizes(split))


def test_the_same_seed_gives_the_same_folds_and_another_one_others() -> None:
    known = [_fact(f"s{site}-{n}", f"s{site}") for site in range(12) for n in range(2)]
    first, again, other = ([split.sha256 for split in folds(known, count=3, validation_share=0.3, seed=seed)] for seed in (1, 1, 2))
    assert first == again != other


def test_every_deal_of_the_folds_is_drawn_by_their_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    deal, seeds = splitting._deal, []

    def spy(groups: Sequence[Sequence[str]], known: Sequence[PageFacts], shares: Mapping[str, float], seed: int) -> dict[str, str]:
        seeds.append(seed)
        return deal(groups, known, shares, seed)

    monkeypatch.setattr(splitting, "_deal", spy)
    folds([_fact(site, site) for site in "abcdef"], count=2, validation_share=0.3, seed=41)
    assert seeds == [41, 41, 41], "the tests' deal, and one for each fold's validation part"


_days = st.lists(st.none() | st.integers(1, 9), min_size=1, max_size=6).filter(any)


def _day(number: int | None) -> str | None:
    return None if number is None else f"2025-03-{number:02d}"


def _kept_by(border: str, earlier: Sequence[str], later: Sequence[str]) -> float:
    return sum(day < border for day in earlier) / len(earlier) + sum(day >= border for day in later) / len(later)


@settings(max_examples=60)
@given(st.tuples(_days, _days, _days))
def test_by_time_pages_are_left_out_on_the_wrong_side_of_the_best_borders_alone(days: tuple[list[int | None], ...]) -> None:
    known = [_fact(f"s{s}-{n}", f"s{s}", date=_day(day)) for s, own in enumerate(days) for n, day in enumerate(own)]
    dates = {f"s{s}": sorted(str(_day(day)) for day in own if day is not None) for s, own in enumerate(days)}
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
    known = [_fact(f"{site}{n}", site, date=_day(day)) for site, own in (("a", (1, 2, 5)), ("b", (5, 5, 6, 8)), ("c", (8, 9))) for n, day in enumerate(own)]  # fmt: skip
    split = split_by_site(known, validation_share=0.25, test_share=0.25, seed=0, by_time=True)
    assert (split.made_by["validation_from"], split.made_by["test_from"]) == (_day(5), _day(8))
    assert {part: [p.page_id for p in split.parts[part]] for part in PARTS} == {
        "train": ["a0", "a1"], "validation": ["b0", "b1", "b2"], "test": ["c0", "c1"],
    }  # fmt: skip
    assert split.left_out == ("a2", "b3")


@pytest.mark.parametrize(("shares", "sizes"), [((0.25, 0.25), [8, 4, 4]), ((0.125, 0.25), [10, 2, 4]), ((0.25, 0.125), [10, 4, 2])])
def test_by_time_each_part_has_its_share_of_the_pages_the_latest_sites_in_the_test_part(
    shares: tuple[float, float], sizes: list[int]
) -> None:
    known = [_fact(f"s{s}-{n}", f"s{s}", date=_day(s + 1)) for s in range(8) for n in range(2)]
    split = split_by_site(known, validation_share=shares[0], test_share=shares[1], seed=0, by_time=True)
    assert _sizes(split) == sizes
    assert [p.page_id for part in PARTS for p in split.parts[part]] == [p.page_id for p in known]


def _dated(site: str, number: int, date: str | None) -> Page:
    return replace(make_page(site, number), date=date)


def test_by_time_tests_on_the_future_and_on_other_sites() -> None:
    pages = [_dated(f"s{i}", n, f"2025-{i + 1:02d}-{n + 10}") for i in range(10) for n in range(4)]
    pages += [_dated("s0", 9, "2025-12-30"), _dated("s9", 9, "2025-01-01"), _dated("s4", 9, None), _dated("s5", 9, "yesterday")]
    split = split_by_site(list(all_facts(pages)), validation_share=0.2, test_share=0.2, seed=0, by_time=True)
    days = {part: [str(p.date) for p in split.parts[part]] for part in PARTS}
    assert max(days["train"]) < min(days["validation"])
    assert max(days["validation"]) < min(days["test"])
    given_split(split.parts)
    assert set(split.left_out) == {"s0-9", "s9-9", "s4-9", "s5-9"}


def test_by_time_a_large_site_does_not_put_validation_behind_the_test_part() -> None:
    pages = [_dated("big", n, f"2024-01-{n % 28 + 1:02d}") for n in range(400)]
    pages += [_dated(f"s{i}", n, f"2025-{i // 2 + 1:02d}-{15 * (i % 2) + n + 1:02d}") for i in range(20) for n in range(2)]
    split = split_by_site(list(all_facts(pages)), validation_share=0.1, test_share=0.1, seed=0, by_time=True)
    assert len({page.site for page in split.parts["test"]}) == 19
    assert not split.left_out


def test_by_time_needs_days_that_part_the_sites() -> None:
    with pytest.raises(InputError, match="nothing is left"):
        split_by_site(
            [facts(_dated(f"s{i}", n, "2025-01-01")) for i in range(5) for n in range(3)], validation_share=0.2, test_share=0.2, seed=0,
            by_time=True,
        )  # fmt: skip
    with pytest.raises(InputError, match="0 groups of sites have pages with a date"):
        split_by_site([facts(_dated(f"s{i}", 0, None)) for i in range(5)], validation_share=0.2, test_share=0.2, seed=0, by_time=True)


def test_a_saved_split_is_read_again_and_refused_when_it_does_not_fit(pages: list[Page], tmp_path: Path) -> None:
    known = list(all_facts(pages))
    split = split_by_site(known, validation_share=0.2, test_share=0.3, seed=1)
    path = tmp_path / "split.json"
    write_json(path, split.to_json())
    again = read_split(path, known)
    assert again.sha256 == split.sha256
    assert again.select(pages) == split.select(pages)
    with pytest.raises(InputError, match="not in the corpus"):
        read_split(path, known[1:])
    with pytest.raises(InputError, match="1 of the corpus' pages are not in it"):
        read_split(path, [*known, facts(make_page("new", 0))])
    saved = split.to_json()
    moved = saved["parts"]["train"]["page_ids"].pop()
    saved["parts"]["test"]["page_ids"].append(moved)
    write_json(path, saved)
    with pytest.raises(InputError, match="is in train and test"):
        read_split(path, known)
    write_json(path, {"parts": 3})
    with pytest.raises(InputError, match="no split"):
        read_split(path, known)


def test_a_saved_split_whose_sites_were_exchanged_or_whose_pages_were_left_out_is_told_apart(tmp_path: Path) -> None:
    known = [_fact(f"s{s}-{n}", f"s{s}", *([1] if s < 2 else []), date=_day(s + 1)) for s in range(6) for n in range(2)]
    late = _fact("late", "s2", date=None)
    split = split_by_site([*known, late], validation_share=0.25, test_share=0.25, seed=0, by_time=True)
    assert split.left_out == ("late",)
    path = tmp_path / "split.json"
    write_json(path, split.to_json())
    again = read_split(path, [*known, late])
    assert (again.parts, again.linked_sites, again.left_out, again.made_by) == (
        split.parts, split.linked_sites, split.left_out, split.made_by,
    )  # fmt: skip
    saved = split.to_json()
    saved["parts"]["train"], saved["parts"]["test"] = saved["parts"]["test"], saved["parts"]["train"]
    write_json(path, saved)
    with pytest.raises(InputError, match="its pages hash to"):
        read_split(path, [*known, late])


def test_facts_are_what_stands_on_the_page() -> None:
    page = Page("p", "s.example", (
        Segment("Menu", "boilerplate"), Segment("A", "main", 0, "sport"), Segment("B", "main", 0, "sport"), Segment(STORY, "related", 1, "tech"),
        Segment("C", "related", 2, "sport"), Segment("D", "related"), Segment("More", "boilerplate"), Segment("Imprint", "boilerplate"),
        Segment("Help", "boilerplate"),
    ), date="2026-01-02T10:00")  # fmt: skip
    found = facts(page)
    assert (found.page_id, found.site, found.date) == ("p", "s.example", "2026-01-02")
    assert (found.roles, found.segments) == ((2, 3, 4), 9)
    assert sorted(found.topics) == ["sport", "sport", "tech"], "one a story"
    assert list(found.passages) == list(passages(STORY))
    main = facts(page.with_segments((Segment(STORY, "main", 0), *page.segments[4:])))
    assert list(main.passages) == list(passages(STORY))


def test_parts_are_described_by_their_counts() -> None:
    parts = {"train": [_fact("a", "x"), _fact("b", "x"), _fact("c", "y")], "validation": [], "test": [_fact("d", "z")]}
    assert list(describe(Split(parts))) == [
        ("train", 2, 3, 6, (3, 0, 3)), ("validation", 0, 0, 0, (0, 0, 0)), ("test", 1, 1, 2, (1, 0, 1)),
    ]  # fmt: skip


def test_roles_and_topics_of_which_a_part_has_too_few_are_named() -> None:
    def of(roles: tuple[int, ...], *topics: str) -> list[PageFacts]:
        return [PageFacts("p", "s", None, roles, topics, np.empty(0, np.uint64))]

    parts: Mapping[str, list[PageFacts]] = {
        "train": of((20, 20, 20), *["sport"] * 3, *["tech"] * 3),
        "validation": of((19, 20, 20), *["sport"] * 3, *["tech"] * 2),
        "test": of((20, 30, 0), "sport", "sport", *["tech"] * 9),
    }
    assert Split(parts).warnings() == [
        "validation has 19 main segments; fewer than 20 say little about them",
        "validation has fewer than 3 stories of tech",
        "test has 0 boilerplate segments; fewer than 20 say little about them",
        "test has fewer than 3 stories of sport",
    ]


@given(st.lists(st.lists(st.integers(0, 9), max_size=4, unique=True), max_size=7))
def test_shared_passages_are_those_that_more_than_one_item_holds(held: list[list[int]]) -> None:
    count = Counter(passage for own in held for passage in own)
    number, item = shared_passages([np.array(sorted(own), np.uint64) for own in held])
    shared = sorted(passage for passage, holders in count.items() if holders > 1)
    assert list(number) == sorted(number)
    assert sorted(zip(number.tolist(), item.tolist(), strict=True)) == [
        (k, i) for k, passage in enumerate(shared) for i, own in enumerate(held) if passage in own
    ]


@given(st.lists(st.sets(st.integers(0, 6), max_size=5), max_size=7), st.integers(1, 3), st.integers(2, 4))
def test_relatives_share_enough_prints_that_few_hold(items: list[set[int]], shared: int, common: int) -> None:
    rare = {value for value in range(7) if sum(value in item for item in items) <= common}
    pairs = {(i, j): len(items[i] & items[j] & rare) for i, j in combinations(range(len(items)), 2)}
    assert dict(relatives(items, shared=shared, common=common)) == {pair: n for pair, n in pairs.items() if n >= shared}


def test_parts_with_few_segments_of_a_role_are_told() -> None:
    pages = [make_page(f"s{i}", n, related=0 if i else 3) for i in range(4) for n in range(3)]
    split = split_by_site(list(all_facts(pages)), validation_share=0.25, test_share=0.25, seed=0)
    assert any("0 related segments" in warning for warning in split.warnings())


def test_passages_are_found_inside_other_text_and_shared_ones_are_counted() -> None:
    alone, inside = passages(STORY), passages(f"Photo: N. N. {STORY} Join our channel.")
    assert len(alone) > 0
    assert set(alone) <= set(inside)
    number, item = shared_passages([alone, inside, passages("something else entirely " * 10), np.empty(0, np.uint64)])
    assert set(item) == {0, 1}
    assert len(number) == 2 * len(alone)
    assert list(number) == sorted(number)


@given(st.integers(0, 40), st.integers(28, 60), st.integers(0, 40), st.integers(0, 10**6))
def test_texts_share_a_passage_when_they_share_28_running_words_and_not_below_20(before: int, common: int, after: int, seed: int) -> None:
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(10_000)]
    story = rng.sample(words, common)
    one = " ".join([*rng.choices(["x", "y", "z"], k=before), *story])
    other = " ".join([*story, *rng.choices(["p", "q"], k=after)])
    assert set(passages(one)) & set(passages(other))
    short = story[:19]
    assert not set(passages(" ".join(["x"] * 20 + short))) & set(passages(" ".join(short + ["q"] * 20)))


def test_stories_without_spaces_leave_passages_too() -> None:
    story = "港の夜行フェリーは金曜日から再び島へ向けて出航すると市議会が月曜の夜に発表した乗客は二年ぶりに船で帰れる"
    assert set(passages(story)) & set(passages("写真：" + story + "続きを読む"))
    assert words("Ferry 船が") == ["ferry", "船", "が"]

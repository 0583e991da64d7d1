"""The split by site: what ties sites, what is counted, told and saved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.page_summary import STORY, date_of, page_fact
from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.common.files import write_json
from train.corpus.page import Page, Segment
from train.corpus.splits import assignment
from train.corpus.splits.page_summary import PageSummary, page_summaries, page_summary, story_passages
from train.corpus.splits.split import PARTS, Split, describe, given_split, read_split, split_by_site


@pytest.mark.parametrize("seed", range(5))
def test_no_site_is_in_two_parts_and_no_page_is_lost(pages: list[Page], seed: int) -> None:
    split = split_by_site(list(page_summaries(pages)), validation_share=0.2, test_share=0.3, seed=seed)
    homes = Counter(site for part in PARTS for site in {page.site for page in split.parts[part]})
    assert set(homes.values()) == {1}
    assert Counter(p.page_id for part in PARTS for p in split.parts[part]) == Counter(p.page_id for p in pages)
    assert [len(split.parts[part]) for part in PARTS] == [36, 12, 24]


def test_the_same_seed_gives_the_same_split_and_hash(pages: list[Page]) -> None:
    first, again, other = (
        split_by_site(list(page_summaries(pages)), validation_share=0.2, test_share=0.3, seed=s) for s in (1, 1, 2)
    )
    assert first.sha256 == again.sha256 != other.sha256


def _with_story(page: Page) -> Page:
    return page.with_segments((*page.segments, Segment(f"Photo: N. N. {STORY} Join our channel.", "related", 9)))


def test_sites_that_share_a_story_stay_together(pages: list[Page]) -> None:
    shared = [_with_story(page) if page.page_id in ("sitea-0", "sited-2", "sitek-1") else page for page in pages]
    split = split_by_site(list(page_summaries(shared)), validation_share=0.2, test_share=0.3, seed=3)
    homes = [
        {part for part in PARTS if any(p.site == f"{site}.example" for p in split.parts[part])}
        for site in ("sitea", "sited", "sitek")
    ]
    assert homes[0] == homes[1] == homes[2]
    assert split.linked_sites == (("sitea.example", "sited.example", "sitek.example"),)
    assert split.shared_stories() == 0
    torn = {
        "train": _of_site(shared, "sitea"),
        "validation": _of_site(shared, "sitek"),
        "test": _of_site(shared, "sited"),
    }
    assert Split(torn).shared_stories() == 2, "the copies in the validation and the test part"


def _of_site(pages: Sequence[Page], site: str) -> list[PageSummary]:
    return [fact for fact in page_summaries(pages) if fact.site == f"{site}.example"]


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
        part: [page_fact(f"{part}-{i}", part, *set(held)) for i, held in enumerate(pages)]
        for part, pages in zip(PARTS, (train, validation, test), strict=True)
    }
    assert Split(parts).shared_stories() == shared


_held_by_pages = st.lists(st.lists(st.integers(0, 8), max_size=3, unique=True), max_size=4)


@given(st.tuples(_held_by_pages, _held_by_pages, _held_by_pages))
def test_shared_stories_is_what_comparing_every_pair_of_pages_gives(held: tuple[list[list[int]], ...]) -> None:
    parts = {
        part: [page_fact(f"{part}-{i}", part, *own) for i, own in enumerate(pages)]
        for part, pages in zip(PARTS, held, strict=True)
    }
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
    monkeypatch.setattr(assignment, "COMMON_SITES", 3)
    copied = [page_fact(f"{site}{n}", site, 1) for site in "abc" for n in range(3)]
    footers = [page_fact(f"{site}{n}", site, 2, 10 * ord(site) + n) for site in "defg" for n in range(2)]
    pair = [page_fact(f"{site}{n}", site, 3) for site in "hi" for n in range(5)]
    split = split_by_site([*copied, *footers, *pair], validation_share=0.2, test_share=0.2, seed=0)
    assert split.linked_sites == (("a", "b", "c"), ("h", "i"))


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.lists(st.integers(0, 6), max_size=3, unique=True)), max_size=12),
    st.integers(2, 4),
)
def test_sites_are_tied_that_a_chain_of_uncommon_passages_connects(
    pages: list[tuple[str, list[int]]], common: int
) -> None:
    lone = [page_fact(site, site) for site in ("x", "y", "z")]
    known = [*lone, *(page_fact(f"{site}-{i}", site, *own) for i, (site, own) in enumerate(pages))]
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
        patch.setattr(assignment, "COMMON_SITES", common)
        patch.setattr(assignment, "EXCHANGES", 0)
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
        split_by_site(list(page_summaries(pages)), validation_share=0.2, test_share=0.2, seed=0)
    assert caught.value.rule == "too-small-to-split"


def test_three_sites_fill_three_parts() -> None:
    pages = [make_page(site, n) for site in ("one", "two", "three") for n in range(4)]
    split = split_by_site(list(page_summaries(pages)), validation_share=0.1, test_share=0.1, seed=0)
    assert all(split.parts[part] for part in PARTS)


def test_a_site_in_two_given_parts_is_refused() -> None:
    pages = {"train": make_page("one", 0), "validation": make_page("two", 0), "test": make_page("one", 1)}
    parts = {part: [page_summary(page)] for part, page in pages.items()}
    with pytest.raises(InputError, match=r"site 'one\.example' is in train and test"):
        given_split(parts)


def test_parts_are_alike_in_their_mix_of_roles() -> None:
    # Half of the sites show many related items, half none: each part must get both kinds.
    pages = [make_page(f"s{i}", n, related=8 * (i % 2)) for i in range(16) for n in range(3)]
    split = split_by_site(list(page_summaries(pages)), validation_share=0.25, test_share=0.25, seed=0)
    shares = [roles[1] / segments for _, _, _, segments, roles in describe(split)]
    assert max(shares) - min(shares) < 0.02


def test_a_saved_split_is_read_again_and_refused_when_it_does_not_fit(pages: list[Page], tmp_path: Path) -> None:
    known = list(page_summaries(pages))
    split = split_by_site(known, validation_share=0.2, test_share=0.3, seed=1)
    path = tmp_path / "split.json"
    write_json(path, split.to_json())
    again = read_split(path, known)
    assert again.sha256 == split.sha256
    assert again.select(pages) == split.select(pages)
    with pytest.raises(InputError, match="not in the corpus"):
        read_split(path, known[1:])
    with pytest.raises(InputError, match="1 of the corpus' pages are not in it"):
        read_split(path, [*known, page_summary(make_page("new", 0))])
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
    known = [
        page_fact(f"s{s}-{n}", f"s{s}", *([1] if s < 2 else []), date=date_of(s + 1))
        for s in range(6)
        for n in range(2)
    ]
    late = page_fact("late", "s2", date=None)
    split = split_by_site([*known, late], validation_share=0.25, test_share=0.25, seed=0, by_time=True)
    assert split.left_out == ("late",)
    path = tmp_path / "split.json"
    write_json(path, split.to_json())
    again = read_split(path, [*known, late])
    assert (again.parts, again.linked_sites, again.left_out, again.made_by) == (
        split.parts,
        split.linked_sites,
        split.left_out,
        split.made_by,
    )
    saved = split.to_json()
    saved["parts"]["train"], saved["parts"]["test"] = saved["parts"]["test"], saved["parts"]["train"]
    write_json(path, saved)
    with pytest.raises(InputError, match="its pages hash to"):
        read_split(path, [*known, late])


def test_parts_are_described_by_their_counts() -> None:
    parts = {
        "train": [page_fact("a", "x"), page_fact("b", "x"), page_fact("c", "y")],
        "validation": [],
        "test": [page_fact("d", "z")],
    }
    assert list(describe(Split(parts))) == [
        ("train", 2, 3, 6, (3, 0, 3)),
        ("validation", 0, 0, 0, (0, 0, 0)),
        ("test", 1, 1, 2, (1, 0, 1)),
    ]


def test_roles_and_topics_of_which_a_part_has_too_few_are_named() -> None:
    def of(roles: tuple[int, ...], *topics: str) -> list[PageSummary]:
        return [PageSummary("p", "s", None, roles, topics, np.empty(0, np.uint64))]

    parts: Mapping[str, list[PageSummary]] = {
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


def test_parts_with_few_segments_of_a_role_are_told() -> None:
    pages = [make_page(f"s{i}", n, related=0 if i else 3) for i in range(4) for n in range(3)]
    split = split_by_site(list(page_summaries(pages)), validation_share=0.25, test_share=0.25, seed=0)
    assert any("0 related segments" in warning for warning in split.warnings())

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_page
from train.corpus.overlap import components, prints, relatives
from train.corpus.page import Page, Segment
from train.corpus.split import PARTS, given_split, split_by_site, story_prints
from train.errors import InputError

STORY = "On Tuesday the council voted to keep the old swimming baths open for another winter, although the boiler is older than most of those who swim there and nobody could say what a new one would cost the town."


@pytest.mark.parametrize("seed", range(5))
def test_no_site_is_in_two_parts_and_no_page_is_lost(pages: list[Page], seed: int) -> None:
    split = split_by_site(pages, validation_share=0.2, test_share=0.3, seed=seed)
    homes = Counter(site for part in PARTS for site in {page.site for page in split.parts[part]})
    assert set(homes.values()) == {1}
    assert Counter(p.page_id for part in PARTS for p in split.parts[part]) == Counter(p.page_id for p in pages)
    assert [len(split.parts[part]) for part in PARTS] == [36, 12, 24]


def test_the_same_seed_gives_the_same_split_and_hash(pages: list[Page]) -> None:
    first, again, other = (split_by_site(pages, validation_share=0.2, test_share=0.3, seed=s) for s in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256


def _with_story(page: Page) -> Page:
    return page.with_segments((*page.segments, Segment(f"Photo: N. N. {STORY} Join our channel.", "related", 9)))


def test_sites_that_share_a_story_stay_together(pages: list[Page]) -> None:
    shared = [_with_story(page) if page.page_id in ("sitea-0", "sited-2", "sitek-1") else page for page in pages]
    split = split_by_site(shared, validation_share=0.2, test_share=0.3, seed=3)
    homes = [
        {part for part in PARTS if any(p.site == f"{site}.example" for p in split.parts[part])} for site in ("sitea", "sited", "sitek")
    ]
    assert homes[0] == homes[1] == homes[2]
    assert len(split.linked_sites) == 3
    assert split.shared_stories() == 0


def test_shared_boilerplate_does_not_tie_sites() -> None:
    page = Page("p", "s", (Segment(STORY, "boilerplate"),))
    assert story_prints(page) == set()


def test_too_few_sites_to_split() -> None:
    pages = [make_page(site, n) for site in ("one", "two") for n in range(4)]
    with pytest.raises(InputError, match="2 groups of sites") as caught:
        split_by_site(pages, validation_share=0.2, test_share=0.2, seed=0)
    assert caught.value.rule == "too-small-to-split"


def test_three_sites_fill_three_parts() -> None:
    pages = [make_page(site, n) for site in ("one", "two", "three") for n in range(4)]
    split = split_by_site(pages, validation_share=0.1, test_share=0.1, seed=0)
    assert all(split.parts[part] for part in PARTS)


def test_a_site_in_two_given_parts_is_refused() -> None:
    parts = {"train": [make_page("one", 0)], "validation": [make_page("two", 0)], "test": [make_page("one", 1)]}
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

"""What a page is summed up to, and which texts share a passage."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.page_summary import STORY
from train.corpus.page import Page, Segment
from train.corpus.splits.near_duplicates import components, passages, relatives, shared_passages, shingle_hashes, words
from train.corpus.splits.page_summary import page_summary


@given(st.integers(0, 30), st.integers(40, 80))
def test_a_passage_leaves_its_prints_wherever_it_stands(before: int, length: int) -> None:
    words = [f"word{i * 7919 % 1009}" for i in range(length)]
    alone, inside = (
        shingle_hashes(" ".join(words)),
        shingle_hashes(" ".join([*("noise" + str(i) for i in range(before)), *words, "tail"])),
    )
    assert alone <= inside


def test_relatives_and_components() -> None:
    items = [{1, 2, 3, 4, 5}, {9}, {2, 3, 4, 5, 6}, {5, 6}]
    assert dict(relatives(items)) == {(0, 2): 4}
    assert components(5, [(0, 2), (2, 4)]) == [[0, 2, 4], [1], [3]]


def test_facts_are_what_stands_on_the_page() -> None:
    page = Page(
        "p",
        "s.example",
        (
            Segment("Menu", "boilerplate"),
            Segment("A", "main", 0, "sport"),
            Segment("B", "main", 0, "sport"),
            Segment(STORY, "related", 1, "tech"),
            Segment("C", "related", 2, "sport"),
            Segment("D", "related"),
            Segment("More", "boilerplate"),
            Segment("Imprint", "boilerplate"),
            Segment("Help", "boilerplate"),
        ),
        date="2026-01-02T10:00",
    )
    found = page_summary(page)
    assert (found.page_id, found.site, found.date) == ("p", "s.example", "2026-01-02")
    assert (found.roles, found.segments) == ((2, 3, 4), 9)
    assert sorted(found.topics) == ["sport", "sport", "tech"], "one a story"
    assert list(found.passages) == list(passages(STORY))
    main = page_summary(page.with_segments((Segment(STORY, "main", 0), *page.segments[4:])))
    assert list(main.passages) == list(passages(STORY))


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


def test_passages_are_found_inside_other_text_and_shared_ones_are_counted() -> None:
    alone, inside = passages(STORY), passages(f"Photo: N. N. {STORY} Join our channel.")
    assert len(alone) > 0
    assert set(alone) <= set(inside)
    number, item = shared_passages([alone, inside, passages("something else entirely " * 10), np.empty(0, np.uint64)])
    assert set(item) == {0, 1}
    assert len(number) == 2 * len(alone)
    assert list(number) == sorted(number)


@given(st.integers(0, 40), st.integers(28, 60), st.integers(0, 40), st.integers(0, 10**6))
def test_texts_share_a_passage_when_they_share_28_running_words_and_not_below_20(
    before: int, common: int, after: int, seed: int
) -> None:
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

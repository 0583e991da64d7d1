from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.pages import make_page
from train.corpus.facts import all_facts, facts, story_passages
from train.corpus.overlap import components, passages, prints, relatives, shared_passages, words
from train.corpus.page import Page, Segment
from train.corpus.split import PARTS, describe, folds, given_split, read_split, split_by_site
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

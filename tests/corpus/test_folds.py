"""Folds by site: every page is tested once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.page_summary import page_fact, part_sizes
from train.corpus.page import Page
from train.corpus.splits import assignment
from train.corpus.splits import split as splitting
from train.corpus.splits.page_summary import PageSummary, page_summaries
from train.corpus.splits.split import PARTS, folds, given_split


@pytest.mark.parametrize("count", [2, 5])
def test_every_page_is_tested_in_one_fold(pages: list[Page], count: int) -> None:
    made = folds(list(page_summaries(pages)), count=count, validation_share=0.2, seed=1)
    assert Counter(p.page_id for split in made for p in split.parts["test"]) == Counter(p.page_id for p in pages)
    for split in made:
        given_split(split.parts)
        assert all(split.parts[part] for part in PARTS)
        assert len({p.page_id for part in PARTS for p in split.parts[part]}) == len(pages)


@pytest.mark.parametrize(
    ("count", "share", "sizes"),
    [(5, 0.25, [24, 8, 8]), (5, 0.5, [16, 16, 8]), (4, 0.2, [24, 6, 10]), (2, 0.1, [18, 2, 20])],
)
def test_folds_give_validation_its_share_of_the_pages_that_are_not_tested(
    count: int, share: float, sizes: list[int]
) -> None:
    known = [page_fact(f"s{site}-{n}", f"s{site}") for site in range(20) for n in range(2)]
    for split in folds(known, count=count, validation_share=share, seed=3):
        assert part_sizes(split) == sizes


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 2), min_size=8, max_size=10),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=1),
    st.integers(2, 4),
    st.integers(0, 99),
)
def test_every_page_and_site_is_tested_once_and_the_parts_of_a_fold_share_nothing(
    pages: list[int], copies: list[tuple[int, int]], count: int, seed: int
) -> None:
    copied = {site: 1000 + i for i, pair in enumerate(copies) for site in pair}
    known = [
        page_fact(f"s{s}-{n}", f"s{s}", *([copied[s]] if s in copied else []))
        for s, many in enumerate(pages)
        for n in range(many)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignment, "EXCHANGES", 20)
        made = folds(known, count=count, validation_share=0.3, seed=seed)
    assert len(made) == count
    assert Counter(p.page_id for split in made for p in split.parts["test"]) == Counter(p.page_id for p in known)
    assert Counter(site for split in made for site in {p.site for p in split.parts["test"]}) == Counter(
        {p.site for p in known}
    )
    for split in made:
        assert Counter(p.page_id for part in PARTS for p in split.parts[part]) == Counter(p.page_id for p in known)
        assert all(
            not {p.site for p in split.parts[a]} & {p.site for p in split.parts[b]} for a, b in combinations(PARTS, 2)
        )
        assert split.shared_stories() == 0
        assert all(part_sizes(split))


def test_the_same_seed_gives_the_same_folds_and_another_one_others() -> None:
    known = [page_fact(f"s{site}-{n}", f"s{site}") for site in range(12) for n in range(2)]
    first, again, other = (
        [split.sha256 for split in folds(known, count=3, validation_share=0.3, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_every_deal_of_the_folds_is_drawn_by_their_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    deal, seeds = splitting.assign_groups, []

    def spy(
        groups: Sequence[Sequence[str]], known: Sequence[PageSummary], shares: Mapping[str, float], seed: int
    ) -> dict[str, str]:
        seeds.append(seed)
        return deal(groups, known, shares, seed)

    monkeypatch.setattr(splitting, "assign_groups", spy)
    folds([page_fact(site, site) for site in "abcdef"], count=2, validation_share=0.3, seed=41)
    assert seeds == [41, 41, 41], "the tests' deal, and one for each fold's validation part"

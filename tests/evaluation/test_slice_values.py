"""Which slice each segment is in, and what its interval is drawn from, counted by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from train.corpus.page import Page, Segment
from train.evaluation.slices import (
    FEW_SEGMENTS,
    FEW_SITES,
    Predictions,
    confusion,
    predictions_of,
    site_slices,
    slice_values,
    slices,
)
from train.runtime.text import ROLES

STORIES = {"main": 0, "related": 1, "boilerplate": None}


def words(count: int) -> str:
    return " ".join(["word"] * count)


def page(name: str, site: str, *segments: tuple[int, str], lang: str | None = "en", **extra: object) -> Page:
    """A page of segments of so many words."""
    return Page(name, site, tuple(Segment(words(n), role, STORIES[role]) for n, role in segments), lang, extra=extra)


def answered(pages: Sequence[Page], roles: Sequence[Sequence[str]]) -> Predictions:
    """Answers of these roles, of different sureness by segment."""
    records = []
    for told in roles:
        segments = []
        for i, role in enumerate(told):
            rest = [other for other in ROLES if other != role]
            segments.append({"role": role, "scores": {role: 0.5 + i / 100, rest[0]: 0.5 - i / 100, rest[1]: 0.0}})
        records.append({"segments": segments})
    return predictions_of(pages, records)


def right(pages: Sequence[Page]) -> Predictions:
    return answered(pages, [[str(s.role) for s in one.segments] for one in pages])


def test_answers_are_a_row_for_each_segment_of_three_words_or_more() -> None:
    pages = [
        page("a", "z.example", (2, "main"), (3, "main"), (4, "related")),
        page("b", "y.example", (1, "main"), (9, "boilerplate")),
    ]
    answers = answered(pages, [["main", "related", "boilerplate"], ["main", "main"]])
    assert answers.sites == ("y.example", "z.example")
    assert answers.page.tolist() == [0, 0, 1]
    assert answers.segment.tolist() == [1, 2, 1]
    assert answers.site.tolist() == [1, 1, 0]
    assert answers.words.tolist() == [3, 4, 9]
    assert answers.gold.tolist() == [0, 1, 2]
    assert answers.predicted.tolist() == [1, 2, 0]
    assert answers.confidence.tolist() == [0.51, 0.52, 0.51]
    assert answers.scores.tolist() == [[0.49, 0.51, 0.0], [0.48, 0.0, 0.52], [0.51, 0.49, 0.0]]
    counts = confusion(answers)
    assert [(site, gold, told) for site, gold, told in zip(*np.nonzero(counts), strict=True)] == [
        (0, 2, 0),
        (1, 0, 1),
        (1, 1, 2),
    ]
    assert counts.sum() == 3
    assert confusion(answers, np.array([True, False, False])).sum() == 1


def test_a_segment_is_in_the_range_of_its_words() -> None:
    lengths = (3, 5, 6, 11, 12, 24, 25, 49, 50, 400)
    pages = [page("a", "a.example", *((n, "main") for n in lengths))]
    names = ("3 to 5 words", "6 to 11 words", "12 to 24 words", "25 to 49 words", "50 words or more")
    assert slice_values(pages, right(pages))["length"].tolist() == [name for name in names for _ in range(2)]


@pytest.mark.parametrize(
    ("count", "fifths"), [(5, [0, 1, 2, 3, 4]), (10, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]), (3, [0, 1, 3]), (2, [0, 2])]
)
def test_a_segment_is_in_the_fifth_of_its_page_that_it_begins_in(count: int, fifths: list[int]) -> None:
    names = ("first fifth of the page", "second fifth", "middle fifth", "fourth fifth", "last fifth")
    pages = [page("a", "a.example", *[(3, "main")] * count)]
    assert slice_values(pages, right(pages))["place"].tolist() == [names[i] for i in fifths]


def test_the_place_on_the_page_counts_segments_that_are_not_scored() -> None:
    pages = [page("a", "a.example", (3, "main"), *[(1, "boilerplate")] * 8, (3, "main"))]
    assert slice_values(pages, right(pages))["place"].tolist() == ["first fifth of the page", "last fifth"]


def test_a_page_is_in_the_range_of_its_sites_pages() -> None:
    counts = {"a": 1, "b": 2, "c": 4, "d": 5, "e": 9, "f": 10, "g": 30}
    pages = [page(f"{site}{n}", site, (3, "main"), (3, "main")) for site, many in counts.items() for n in range(many)]
    found = slice_values(pages, right(pages))["site size"].tolist()
    assert found[::2] == found[1::2]
    told = {one.site: value for one, value in zip(pages, found[::2], strict=True)}
    assert told == {
        "a": "1 page of the site",
        "b": "2 to 4 pages of the site",
        "c": "2 to 4 pages of the site",
        "d": "5 to 9 pages of the site",
        "e": "5 to 9 pages of the site",
        "f": "10 pages or more",
        "g": "10 pages or more",
    }


@pytest.mark.parametrize(
    ("segments", "shape", "place"),
    [
        ([(3, "main")], "none", "none"),
        ([(3, "main"), (11, "related")], "headlines", "after the story"),
        ([(3, "main"), (5, "related"), (12, "related")], "teasers", "after the story"),
        ([(24, "related"), (3, "main")], "teasers", "before or amid the story"),
        ([(3, "main"), (25, "related"), (3, "main")], "whole bodies", "before or amid the story"),
        ([(3, "main"), (3, "related"), (3, "boilerplate"), (60, "boilerplate")], "headlines", "after the story"),
        ([(24, "related"), (3, "main"), (12, "related")], "teasers", "before or amid the story"),
        ([(40, "related")], "whole bodies", "after the story"),
    ],
)
def test_related_items_are_told_by_the_longest_of_them_and_where_the_first_stands(
    segments: list[tuple[int, str]], shape: str, place: str
) -> None:
    other = page("other", "b.example", (3, "main"), (12 if shape != "teasers" else 11, "related"), (3, "main"))
    last = page("last", "c.example", (3, "main"))
    pages = [page("a", "a.example", *segments), other, last]
    answers = right(pages)
    found = slice_values(pages, answers)
    assert {value for value, of in zip(found["related items"], answers.page, strict=True) if of == 0} == {shape}
    assert {value for value, of in zip(found["related place"], answers.page, strict=True) if of == 0} == {place}


def test_keys_of_the_corpus_are_sliced_by_where_they_have_few_short_values() -> None:
    def made(n: int) -> Page:
        keys = {
            "paywall": n % 2 == 0,
            "desk": "news" if n < 3 else None,
            "number": n,
            "same": 1,
            "ranks": [n],
            "long": "x" * 39 + "yz"[n % 2],
        }
        return page(
            f"p{n}",
            f"s{n}",
            (3, "main"),
            lang="de" if n else None,
            **keys,
            eight=min(n, 7),
            longer="x" * 40 + "yz"[n % 2],
            language="a" if n else "b",
        )

    pages = [made(n) for n in range(9)]
    found = slice_values(pages, right(pages))
    assert set(found) == {"language", "paywall", "desk", "long", "eight", "language (of the corpus)"}
    assert found["paywall"].tolist() == ["True", "False"] * 4 + ["True"]
    assert found["desk"].tolist() == ["news"] * 3 + ["none"] * 6
    assert found["language"].tolist() == ["unknown"] + ["de"] * 8
    assert [one.value for one in slices(pages, right(pages), samples=0) if one.dimension == "language"] == [
        "de",
        "unknown",
    ]


def test_a_slice_is_scored_over_its_own_segments_and_its_interval_drawn_from_the_sites_that_have_some() -> None:
    # Site s has s + 1 short segments of main, of which s % 4 are answered wrongly, and one of boilerplate; the last
    # five have long ones.
    pages, told = [], []
    for s in range(9):
        long = [(60, "main")] * max(0, s - 3)
        pages.append(page(f"p{s}", f"s{s}", *[(3, "main")] * (s + 1), (3, "boilerplate"), *long))
        told.append(
            ["boilerplate"] * (s % 4)
            + ["main"] * (s + 1 - s % 4)
            + ["boilerplate"]
            + ["main" if s % 2 else "related"] * len(long)
        )
    answers = answered(pages, told)
    found = {
        one.value: one
        for one in slices(pages, answers, samples=400, confidence=0.6, seed=5)
        if one.dimension == "length"
    }

    def f1(true: np.ndarray, wrong: np.ndarray) -> np.ndarray:
        return 2 * true / (2 * true + wrong)

    wrong = np.array([s % 4 for s in range(9)])
    right_ = np.array([s + 1 for s in range(9)]) - wrong
    short, long_ = found["3 to 5 words"], found["50 words or more"]
    assert (short.segments, short.pages, short.sites, short.few) == (54, 9, 9, False)
    assert short.f1 == pytest.approx(
        {"main": f1(right_.sum(), wrong.sum()), "boilerplate": f1(np.array(9), wrong.sum())}
    )
    assert short.macro_f1 == pytest.approx((short.f1["main"] + short.f1["boilerplate"]) / 2)
    draws = np.random.default_rng(5).multinomial(9, np.full(9, 1 / 9), size=400)
    macro = (f1(draws @ right_, draws @ wrong) + f1(draws @ np.ones(9), draws @ wrong)) / 2
    assert (short.low, short.high) == pytest.approx(tuple(np.percentile(macro, [20, 80])))
    assert (long_.segments, long_.pages, long_.sites, long_.few) == (15, 5, 5, False)
    assert long_.f1 == pytest.approx({"main": 2 * 6 / (2 * 6 + 9)})
    draws = np.random.default_rng(5).multinomial(5, np.full(5, 1 / 5), size=400)
    right_, wrong = draws @ np.array([0, 2, 0, 4, 0]), draws @ np.array([1, 0, 3, 0, 5])
    assert (long_.low, long_.high) == pytest.approx(tuple(np.percentile(f1(right_, wrong), [20, 80])))


@pytest.mark.parametrize("sites", [FEW_SITES - 1, FEW_SITES])
def test_a_slice_of_fewer_than_five_sites_is_marked(sites: int) -> None:
    pages = [page(f"p{s}-{n}", f"s{s}", (3, "main"), (30, "main")) for s in range(sites) for n in range(2)]
    for one in slices(pages, right(pages), samples=0):
        assert (one.sites, one.pages, one.few) == (sites, 2 * sites, sites < 5)


def test_sites_are_scored_each_the_worst_first_and_marked_below_thirty_segments() -> None:
    pages = [
        page("p0", "good", *[(3, "main")] * FEW_SEGMENTS),
        page("p1", "bad", (3, "main"), (3, "boilerplate"), (2, "related")),
        page("p2", "also good", *[(3, "main")] * (FEW_SEGMENTS - 1)),
        page("p3", "silent", (2, "main")),
    ]
    answers = answered(pages, [["main"] * 30, ["main", "main", "main"], ["main"] * 29, ["main"]])
    found = [(one.value, one.segments, round(one.macro_f1, 6), one.few) for one in site_slices(answers)]
    assert found == [
        ("bad", 2, round((2 / 3 + 0) / 2, 6), True),
        ("also good", 29, 1.0, True),
        ("good", 30, 1.0, False),
    ]

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from train.corpus.build import build
from train.corpus.page import Page
from train.corpus.sources import composed as source
from train.corpus.sources.composed import SITES_PER_NETWORK, Article, compose, read_articles, read_sites
from train.corpus.splits.near_duplicates import relatives, shingle_hashes
from train.corpus.splits.page_summary import page_summaries
from train.corpus.splits.split import PARTS, Split, split_by_site


@pytest.fixture(scope="module")
def articles() -> list[Article]:
    return read_articles()


@pytest.fixture(scope="module")
def composed(articles: list[Article]) -> list[Page]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "read_articles", lambda: articles)
        return list(compose(seed=13, pages=1040))


@pytest.fixture
def few_articles(articles: list[Article], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are composed of one article in ten, which is done in a tenth of the time."""
    monkeypatch.setattr(source, "read_articles", lambda: articles[::10])


def test_there_are_enough_templates_and_each_is_its_own() -> None:
    sites = read_sites()
    assert len(sites) >= 40
    assert len(sites) % SITES_PER_NETWORK == 0
    for field in ("site", "name"):
        assert len({site[field] for site in sites}) == len(sites)
    # Wording is a site's own: no two templates share half of their boilerplate.
    lines = [{line for part in ("top", "after", "bottom") for line in site[part]} for site in sites]
    for i, a in enumerate(lines):
        assert all(len(a & b) <= 0.5 * min(len(a), len(b)) for b in lines[i + 1 :])


def test_articles_have_no_near_duplicates(articles: list[Article]) -> None:
    assert len(articles) > 1900
    assert set(Counter(a.topic for a in articles)) == {"business", "entertainment", "politics", "sport", "tech"}
    marks = [shingle_hashes(" ".join(a.paragraphs)) for a in articles]
    assert all(n < 0.3 * min(len(marks[a]), len(marks[b])) for (a, b), n in relatives(marks).items())


@pytest.mark.usefixtures("few_articles")
def test_the_same_seed_gives_the_same_pages_however_many_follow() -> None:
    first = list(compose(seed=13, pages=60))
    assert list(compose(seed=13, pages=100))[:60] == first
    assert next(compose(seed=14, pages=1)) != first[0]


def test_pages_keep_the_contract(composed: list[Page]) -> None:
    assert len({page.page_id for page in composed}) == len(composed) >= 1000
    for page in composed:
        stories = [s.story for s in page.segments if s.role == "related"]
        assert all(s.text and s.text == " ".join(s.text.split()) and "{" not in s.text for s in page.segments), (
            page.page_id
        )
        assert all((s.story == 0) == (s.role == "main") for s in page.segments)
        assert all((s.topic is None) == (s.role == "boilerplate") for s in page.segments)
        assert sorted(set(stories)) == list(range(1, len(set(stories)) + 1))
        assert page.segments[0].role != "related"


def _has(page: Page, first: str, then: str) -> bool:
    return any((a.role, b.role) == (first, then) for a, b in pairwise(page.segments))


def test_every_shape_of_the_design_is_there(composed: list[Page]) -> None:
    def share(test: Callable[[Page], bool]) -> float:
        return sum(map(test, composed)) / len(composed)

    def blocks(page: Page) -> int:
        return sum(b.role == "related" != a.role for a, b in pairwise(page.segments))

    def between(page: Page) -> bool:
        roles = [s.role for s in page.segments]
        first, last = roles.index("main") + 6, len(roles) - roles[::-1].index("main")
        return "boilerplate" in roles[first:last]

    long_line = [len([s for s in p.segments if s.role == "related" and len(s.text.split()) > 150]) for p in composed]
    assert sum(map(bool, long_line)) / len(composed) > 0.2, "whole related bodies on one line"
    assert (
        share(lambda p: any(s.role == "related" and "hoto" in s.text and "channel" in s.text for s in p.segments))
        > 0.01
    )
    assert share(lambda p: _has(p, "related", "main")) > 0.05, "related in the middle of the main story"
    assert share(lambda p: _has(p, "main", "related")) > 0.1, "related with no heading"
    assert share(lambda p: blocks(p) >= 2) > 0.2, "several blocks"
    assert share(lambda p: blocks(p) == 0) > 0.05, "no related item"
    assert share(between) > 0.2, "boilerplate between paragraphs"
    assert share(lambda p: sum(s.role == "main" for s in p.segments) == 2) > 0.05, "the whole main story on one line"


@pytest.mark.parametrize("count", [400, pytest.param(1040, marks=pytest.mark.slow)])
def test_a_split_keeps_sites_and_articles_apart(composed: list[Page], count: int) -> None:
    composed = composed[:count]
    split = split_by_site(list(page_summaries(composed)), validation_share=0.15, test_share=0.25, seed=13)
    assert split.shared_stories() == 0
    copied = next(page for page in split.parts["train"] if len(page.passages))
    parted = {**split.parts, "test": [*split.parts["test"], replace(copied, page_id="copy")]}
    assert Split(parted).shared_stories() == 1, "a copy of a training page would be seen"
    parts = split.select(composed)
    sets = [
        {part: {read(item) for page in parts[part] for item in items(page)} for part in PARTS}
        for items, read in (
            (lambda page: [page], lambda page: str(page.title).rpartition(" - ")[0]),
            (
                lambda page: [s for s in page.segments if s.role != "boilerplate" and len(s.text.split()) >= 25],
                lambda s: s.text,
            ),
        )
    ]
    for found in sets:
        assert not found["train"] & found["test"]
        assert not found["train"] & found["validation"]
        assert not found["validation"] & found["test"]


def test_a_related_text_is_drawn_like_a_main_story(composed: list[Page]) -> None:
    words = {
        role: [
            len(s.text.split())
            for p in composed
            for s in p.segments
            if s.role == role and 8 <= len(s.text.split()) <= 60
        ]
        for role in ("main", "related")
    }
    mean = {role: sum(values) / len(values) for role, values in words.items()}
    assert abs(mean["main"] - mean["related"]) < 4


@pytest.mark.usefixtures("few_articles")
def test_build_writes_once_and_again_only_when_asked_for_more(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    first, again, more = (build(path, seed=1, pages=n) for n in (60, 60, 61))
    assert (first.was_built, again.was_built, more.was_built) == (True, False, True)
    assert first.sha256 == again.sha256 != more.sha256
    path.write_bytes(path.read_bytes()[:-5])  # a damaged file is not taken for the whole one
    assert build(path, seed=1, pages=61).sha256 == more.sha256


def test_pages_say_whether_their_related_items_have_headings(composed: list[Page]) -> None:
    assert {page.extra["related"] for page in composed} == {"none", "headed", "bare", "mixed"}
    headings = {
        block["heading"]
        for site in read_sites()
        for block in site["related"]
        if block["heading"] and "{" not in block["heading"]
    }
    shown = {
        kind: sum(any(s.text in headings for s in p.segments) for p in composed if p.extra["related"] == kind)
        for kind in ("headed", "bare")
    }
    assert shown["headed"] > 300 > 10 * shown["bare"]


def test_some_blocks_are_bare_lists_of_headlines(composed: list[Page]) -> None:
    def is_list(page: Page) -> bool:
        lines = Counter(s.story for s in page.segments if s.role == "related")
        return sum(n == 1 for n in lines.values()) >= 3

    assert sum(map(is_list, composed)) > 100

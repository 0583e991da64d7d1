from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from train.common.errors import InputError
from train.corpus.build import build
from train.corpus.composed import articles as source
from train.corpus.composed import words
from train.corpus.composed.articles import Article, headlines, read_articles
from train.corpus.composed.compose import SITES, compose
from train.corpus.composed.site import draw_site, site_names
from train.corpus.composed.templates import SITES_PER_NETWORK, read_sites
from train.corpus.page import Page
from train.corpus.splits.near_duplicates import relatives, shingle_hashes
from train.corpus.splits.page_summary import page_summaries
from train.corpus.splits.split import PARTS, Split, split_by_site
from train.corpus.statistics import POINTS, statistics

PAGES = 400
"""The demo's."""
REAL = {
    "segments": ((166, 282), (201, 315)),
    "before": ((46, 149), (43, 152)),
    "after": ((50, 143), (64, 135)),
    "boilerplate": ((128, 217), (143, 260)),
    "long_boilerplate": ((1, 5), (2, 9)),
    "main": ((15, 41), (27, 52)),
    "main_runs": ((3, 6), (5, 17)),
    "changes": ((10, 23), (16, 45)),
    "related": ((7, 24), (10, 25)),
    "related_words": ((8, 17), (9, 17)),
}
"""The median and the 90 % point of English pages of two collections of the real web."""
BAND = 1.4
"""How many times smaller than the smaller, or larger than the larger, a composed figure may be."""


@pytest.fixture(scope="module")
def articles() -> list[Article]:
    return read_articles()


@pytest.fixture(scope="module")
def composed(articles: list[Article]) -> list[Page]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "read_articles", lambda: articles)
        return list(compose(seed=13, pages=PAGES))


@pytest.fixture(scope="module")
def templated(articles: list[Article]) -> list[Page]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "read_articles", lambda: articles)
        return list(compose(seed=13, pages=PAGES, kind="templates"))


@pytest.fixture
def few_articles(articles: list[Article], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are composed of one article in ten, which is done in a tenth of the time."""
    monkeypatch.setattr(source, "read_articles", lambda: articles[::10])


def _share(pages: list[Page], test: Callable[[Page], bool]) -> float:
    return sum(map(test, pages)) / len(pages)


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


def test_sites_are_many_and_each_is_its_own() -> None:
    rng = random.Random(1)
    names = site_names(SITES, rng)
    assert len(dict(names)) == len({domain for _, domain in names}) == SITES >= 200
    sites = [draw_site(*name, random.Random(str(name))) for name in names]
    assert sites[0] == draw_site(*names[0], random.Random(str(names[0])))
    lines = [{*site.top, *site.bottom} for site in sites if len(site.top) + len(site.bottom) >= 20]
    alike = [len(a & b) > 0.6 * min(len(a), len(b)) for i, a in enumerate(lines) for b in lines[i + 1 :]]
    assert sum(alike) / len(alike) < 0.01
    for field in ("cut", "title", "head", "inserts", "after", "caption", "headline_case"):
        assert len({getattr(site, field) for site in sites}) > 2, field


def test_every_slot_of_the_words_names_a_list_or_a_value() -> None:
    rng = random.Random(1)
    article = Article("a", "tech", "A title", ("In Paris the firm Acme Widgets said so.",))
    page_words = words.PageWords(rng, article, "The Quay Post", "2025-02-03")
    for name, entries in words.lists().items():
        assert len(set(entries)) >= 2, name
        for entry in entries:
            text = page_words.fill(entry)
            assert not re.search(r"[{}]|\[\w+\]", text), (name, text)


def test_headlines_are_of_many_lengths(articles: list[Article]) -> None:
    lengths = [len(line.split()) for article in articles[::20] for line in headlines(article)]
    assert min(lengths) >= 2
    assert max(lengths) <= 17
    assert {4, 7, 10, 13} <= set(lengths)


def test_articles_have_no_near_duplicates(articles: list[Article]) -> None:
    assert len(articles) > 1900
    assert set(Counter(a.topic for a in articles)) == {"business", "entertainment", "politics", "sport", "tech"}
    marks = [shingle_hashes(" ".join(a.paragraphs)) for a in articles]
    assert all(n < 0.3 * min(len(marks[a]), len(marks[b])) for (a, b), n in relatives(marks).items())


@pytest.mark.usefixtures("few_articles")
@pytest.mark.parametrize("kind", ["generated", "templates"])
def test_the_same_seed_gives_the_same_pages_however_many_follow(kind: str) -> None:
    first = list(compose(seed=13, pages=60, kind=kind))
    assert list(compose(seed=13, pages=100, kind=kind))[:60] == first
    assert next(compose(seed=14, pages=1, kind=kind)) != first[0]


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InputError, match="generated or templates"):
        compose(seed=1, pages=1, kind="templated")


@pytest.mark.parametrize("kind", ["composed", "templated"])
def test_pages_keep_the_contract(kind: str, request: pytest.FixtureRequest) -> None:
    pages: list[Page] = request.getfixturevalue(kind)
    assert len({page.page_id for page in pages}) == len(pages) == PAGES
    for page in pages:
        stories = [s.story for s in page.segments if s.role == "related"]
        assert all(s.text and s.text == " ".join(s.text.split()) and "{" not in s.text for s in page.segments), (
            page.page_id
        )
        assert all((s.story == 0) == (s.role == "main") for s in page.segments)
        assert all((s.topic is None) == (s.role == "boilerplate") for s in page.segments)
        assert sorted(set(stories)) == list(range(1, len(set(stories)) + 1))
        assert page.segments[0].role != "related"
        assert page.extra["composed"] == ("generated" if kind == "composed" else "templates")


@pytest.mark.parametrize("figure", REAL)
def test_pages_are_like_real_ones(composed: list[Page], figure: str) -> None:
    found = dict(zip(POINTS, statistics(composed)[figure], strict=True))
    for point, real in zip((50, 90), zip(*REAL[figure], strict=True), strict=True):
        low, high = min(real) / BAND, max(real) * BAND
        assert min(low, min(real) - 1) <= found[point] <= max(high, max(real) + 1), f"{point} %"


def test_some_related_items_stand_before_the_story_and_some_pages_have_no_story(composed: list[Page]) -> None:
    figures = statistics(composed)
    assert 0.02 < figures["related_before"][0] < 0.15
    assert 0.02 < figures["no_story"][0] < 0.08
    assert min(len(page.segments) for page in composed) < 60
    assert 400 < max(len(page.segments) for page in composed) < 800


def _has(page: Page, first: str, then: str) -> bool:
    return any((a.role, b.role) == (first, then) for a, b in pairwise(page.segments))


def _blocks(page: Page) -> int:
    return sum(b.role == "related" != a.role for a, b in pairwise(page.segments))


def _between(page: Page) -> bool:
    roles = [s.role for s in page.segments]
    if "main" not in roles:
        return False
    first, last = roles.index("main") + 6, len(roles) - roles[::-1].index("main")
    return "boilerplate" in roles[first:last]


@pytest.mark.parametrize("kind", ["composed", "templated"])
def test_every_shape_of_the_design_is_there(kind: str, request: pytest.FixtureRequest) -> None:
    pages: list[Page] = request.getfixturevalue(kind)

    def long_line(page: Page) -> bool:
        return any(s.role == "related" and len(s.text.split()) > 150 for s in page.segments)

    assert _share(pages, long_line) > (0.05 if kind == "composed" else 0.2), "whole related bodies on one line"
    assert _share(pages, lambda p: _has(p, "related", "main")) > 0.05, "related in the middle of the main story"
    assert _share(pages, lambda p: _has(p, "main", "related")) > 0.1, "related with no heading"
    assert _share(pages, lambda p: _blocks(p) >= 2) > 0.2, "several blocks"
    assert _share(pages, lambda p: _blocks(p) == 0) > 0.03, "no related item"
    assert _share(pages, _between) > 0.2, "boilerplate between paragraphs"
    assert _share(pages, lambda p: sum(s.role == "main" for s in p.segments) == 2) > 0.01, "a story on one line"


def test_comments_read_like_prose(composed: list[Page]) -> None:
    def long_after_story(page: Page) -> int:
        roles = [s.role for s in page.segments]
        last = len(roles) - roles[::-1].index("main") if "main" in roles else 0
        return sum(s.role == "boilerplate" and len(s.text.split()) >= 15 for s in page.segments[last:])

    assert _share(composed, lambda p: long_after_story(p) >= 6) > 0.1


@pytest.mark.parametrize("count", [240, pytest.param(PAGES, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["composed", "templated"])
def test_a_split_keeps_sites_and_articles_apart(kind: str, count: int, request: pytest.FixtureRequest) -> None:
    pages: list[Page] = request.getfixturevalue(kind)[:count]
    split = split_by_site(list(page_summaries(pages)), validation_share=0.15, test_share=0.25, seed=13)
    assert split.shared_stories() == 0
    for part, share in (("validation", 0.15), ("test", 0.25)):
        assert abs(len(split.parts[part]) / count - share) < 0.05, part
    copied = next(page for page in split.parts["train"] if len(page.passages))
    parted = {**split.parts, "test": [*split.parts["test"], replace(copied, page_id="copy")]}
    assert Split(parted).shared_stories() == 1, "a copy of a training page would be seen"
    parts = split.select(pages)
    texts = {
        part: {s.text for p in parts[part] for s in p.segments if s.role != "boilerplate" and len(s.text.split()) >= 25}
        for part in PARTS
    }
    sites = {part: {page.site for page in parts[part]} for part in PARTS}
    for found in (texts, sites):
        assert not found["train"] & found["test"]
        assert not found["train"] & found["validation"]
        assert not found["validation"] & found["test"]


def test_a_related_text_is_cut_like_a_main_story(templated: list[Page]) -> None:
    words_of = {
        role: [
            len(s.text.split())
            for p in templated
            for s in p.segments
            if s.role == role and 8 <= len(s.text.split()) <= 60
        ]
        for role in ("main", "related")
    }
    mean = {role: sum(values) / len(values) for role, values in words_of.items()}
    assert abs(mean["main"] - mean["related"]) < 4


@pytest.mark.usefixtures("few_articles")
def test_build_writes_once_and_again_only_when_asked_for_more(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    first, again, more = (build(path, seed=1, pages=n) for n in (60, 60, 61))
    assert (first.was_built, again.was_built, more.was_built) == (True, False, True)
    assert first.sha256 == again.sha256 != more.sha256
    path.write_bytes(path.read_bytes()[:-5])  # a damaged file is not taken for the whole one
    assert build(path, seed=1, pages=61).sha256 == more.sha256
    assert build(path, seed=1, pages=61, kind="templates").was_built


@pytest.mark.parametrize("kind", ["composed", "templated"])
def test_pages_say_whether_their_related_items_have_headings(kind: str, request: pytest.FixtureRequest) -> None:
    pages: list[Page] = request.getfixturevalue(kind)
    assert {page.extra["related"] for page in pages} == {"none", "headed", "bare", "mixed"}


def test_some_blocks_are_bare_lists_of_headlines(composed: list[Page]) -> None:
    def is_list(page: Page) -> bool:
        lines = Counter(s.story for s in page.segments if s.role == "related")
        return sum(n == 1 for n in lines.values()) >= 3

    assert _share(composed, is_list) > 0.25

"""A site whose labels were exchanged is named by `check`; sites that were not are left alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.optional import need
from tests.helpers.pages import make_page
from tests.helpers.paths import SHARED
from train.corpus.page import Page, Segment
from train.corpus.quality import swapped_labels as exchanged
from train.corpus.quality.check import check_corpus
from train.corpus.quality.swapped_labels import MARGIN, PAGES_OF_SITE, SwappedLabelDetector, _judge
from train.corpus.read import Corpus, write_pages
from train.runtime.text import ROLES

WAYS = list(permutations(ROLES))


def _exchanged(page: Page, way: tuple[str, ...]) -> Page:
    names = dict(zip(ROLES, way, strict=True))

    def story(role: str) -> int | None:
        return {"main": 0, "related": 1, "boilerplate": None}[role]

    segments = (replace(s, role=names[str(s.role)], story=story(names[str(s.role)]), topic=None) for s in page.segments)
    return page.with_segments(tuple(segments))


@pytest.mark.parametrize("way", WAYS[1:], ids=" ".join)
def test_check_names_the_one_site_whose_roles_were_exchanged(
    pages: list[Page], tmp_path: Path, way: tuple[str, ...]
) -> None:
    path = tmp_path / "poisoned.jsonl"
    write_pages(path, [_exchanged(page, way) if page.site == "siteb.example" else page for page in pages])
    report = check_corpus(path, quarantine=tmp_path / "q.jsonl")
    assert report.warnings["exchanged-roles"] == 1
    assert report.examples["exchanged-roles"].startswith("siteb.example: what is labelled ")
    back = {given: true for true, given in zip(ROLES, way, strict=True) if given != true}
    assert all(f"{given} reads as {true}" in report.examples["exchanged-roles"] for given, true in back.items())


def test_a_clean_corpus_and_one_of_few_sites_name_none(corpus: Path, tmp_path: Path) -> None:
    assert not check_corpus(corpus, quarantine=tmp_path / "q.jsonl").warnings["exchanged-roles"]
    few = tmp_path / "few.jsonl"
    write_pages(few, [make_page("a", 1), _exchanged(make_page("b", 1), WAYS[-1])])
    assert not check_corpus(few, quarantine=tmp_path / "q.jsonl").warnings["exchanged-roles"]


@pytest.mark.parametrize(("ahead", "named"), [(0.0, False), (MARGIN, False), (MARGIN + 0.125, True)])
def test_a_site_is_named_when_exchanged_labels_fit_better_by_more_than_the_margin(
    ahead: float, named: bool, pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = SwappedLabelDetector()
    for page in pages:
        watch.page(page)
    likelihoods = {
        site: np.array([-1.0, -2.0, -1.0 + ahead * (site == "sitec.example"), -3.0, -3.0, -3.0]) for site in watch._kept
    }
    monkeypatch.setattr(exchanged, "_judge", lambda sites: likelihoods)
    found = "sitec.example: what is labelled main reads as related, related reads as main (4 of its pages looked at)"
    assert list(watch.findings()) == [found] * named


def test_the_pages_that_are_looked_at_hang_on_no_order_and_their_number_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = 20
    monkeypatch.setattr(exchanged, "MOST_SITES", most)
    many = [make_page(f"s{n % (most + 5)}", n // 3, related=0) for n in range(9 * most)]
    watches = SwappedLabelDetector(), SwappedLabelDetector()
    for watch, order in zip(watches, (many, many[::-1]), strict=True):
        for page in order:
            watch.page(page)
        assert len(watch._kept) == most
        assert max(map(len, watch._kept.values())) <= PAGES_OF_SITE
    assert watches[0]._kept.keys() == watches[1]._kept.keys()
    chosen = [{site: [item[1] for item in items] for site, items in watch._kept.items()} for watch in watches]
    assert chosen[0] == chosen[1]
    assert max(map(len, chosen[0].values())) == PAGES_OF_SITE, "sites have more pages than are looked at"


def test_every_exchange_is_found_on_every_site_and_no_site_is_named_wrongly(pages: list[Page]) -> None:
    watch = SwappedLabelDetector()
    for page in pages:
        watch.page(page)
    judged = _judge(watch._kept)
    assert judged.keys() == {page.site for page in pages}
    likelihoods = np.array(list(judged.values()))
    gain = likelihoods.max(axis=1, keepdims=True) - likelihoods
    assert not (gain[:, 0] > MARGIN).any()
    assert (gain[:, 1:] > MARGIN).all()


@pytest.mark.slow
def test_on_real_pages_most_exchanges_are_found_and_few_sites_are_named_wrongly(tmp_path: Path) -> None:
    need("shared")
    watch, path = SwappedLabelDetector(), tmp_path / "real.jsonl.gz"
    path.write_bytes(b"".join(part.read_bytes() for part in sorted((SHARED / "data").glob("pages-*.jsonl.gz"))))
    for page in Corpus(path):
        watch.page(page)
    likelihoods = np.array(list(_judge(watch._kept).values()))
    gain = likelihoods.max(axis=1, keepdims=True) - likelihoods
    assert (gain[:, 0] > MARGIN).mean() <= 0.015
    assert (gain[:, 1:] > MARGIN).mean(axis=0).min() > 0.8


def test_a_page_without_words_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "pages.jsonl"
    silent = Page("silent", "silent.example", (Segment("x", "boilerplate"), Segment("", "main", 0)))
    write_pages(path, [*(make_page(f"s{n}", n) for n in range(8)), silent])
    report = check_corpus(path, quarantine=tmp_path / "q.jsonl")
    assert report.kept == 9
    assert not report.warnings["exchanged-roles"]

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.helpers.html_tags import EVIL, tags_of
from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages
from train.reports.corpus_report import SAMPLE, CorpusStatistics, corpus_report
from train.reports.html import escape, fragment


def _report(tmp_path: Path, pages: list[Page]) -> str:
    write_pages(tmp_path / "c.jsonl", pages)
    corpus_report(str(tmp_path / "c.jsonl"), tmp_path / "report.html", quarantine=tmp_path / "q.jsonl")
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_report_shows_what_is_in_the_corpus(pages: list[Page], tmp_path: Path) -> None:
    html = _report(tmp_path, pages)
    for heading in (
        "Findings",
        "Pages and sites",
        "Segments",
        "Topics",
        "Duplicates",
        "Label conflicts",
        "20 random pages",
    ):
        assert f"<h2>{heading}" in html
    assert html.count("<details") == SAMPLE
    assert html.count("<svg") == 10
    assert html.count("aria-label=") == 10
    assert "uniform-site" in html
    assert "72 pages in = 72 kept" in html
    assert html == _report(tmp_path, pages), "the same corpus gives the same bytes"


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    evil = [
        Page(
            f"{EVIL}{i}",
            f"{EVIL}.example",
            (
                Segment(EVIL, "main", 0, EVIL),
                Segment("$x^2$ \\frac", "boilerplate"),
                Segment("b\x00\u202e", "related", 1),
            ),
            EVIL,
            EVIL,
        )
        for i in range(3)
    ]
    tags = tags_of(_report(tmp_path, evil))
    assert not [tag for tag, _ in tags if tag in ("script", "img", "iframe", "link", "object")]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    policy = next(a["content"] for tag, a in tags if tag == "meta" and a.get("http-equiv"))
    assert policy is not None
    assert "default-src 'none'" in policy


def test_conflicts_and_copies_are_counted() -> None:
    seen = CorpusStatistics()
    seen.page(
        Page(
            "a",
            "a.example",
            (Segment("Bridge closed for good", "main", 0), Segment("Read more here now", "boilerplate")),
        )
    )
    seen.page(
        Page(
            "b",
            "b.example",
            (Segment("BRIDGE closed  for good", "related", 1), Segment("Read more here now", "boilerplate")),
        )
    )
    assert seen.conflicts() == [("Bridge closed for good", 2, {"main": 1, "related": 1}, True)]
    assert {role: copies for role, _, copies, _ in seen.repeats()} == {"main": 0, "related": 1, "boilerplate": 1}


def test_every_page_is_as_likely_to_be_shown() -> None:
    counts = dict.fromkeys(range(60), 0)
    for seed in range(60):
        seen = CorpusStatistics(seed)
        for n in counts:
            seen.page(Page(str(n), "s", (Segment("x", "main", 0),)))
        for page in seen.sample:
            counts[int(page.page_id)] += 1
    assert sum(counts.values()) == 60 * SAMPLE
    assert min(counts.values()) > 4


def test_an_unlabelled_corpus_and_an_empty_one(tmp_path: Path) -> None:
    page = make_page("a", 0)
    write_pages(tmp_path / "u.jsonl", [page.with_segments(tuple(Segment(s.text) for s in page.segments))])
    corpus_report(str(tmp_path / "u.jsonl"), tmp_path / "u.html", quarantine=tmp_path / "q.jsonl", labelled=False)
    assert "unlabelled" in (tmp_path / "u.html").read_text()
    (tmp_path / "e.jsonl").write_text("[1]\n")
    report = corpus_report(str(tmp_path / "e.jsonl"), tmp_path / "e.html", quarantine=tmp_path / "q.jsonl")
    assert report.kept == 0
    assert "not-an-object" in (tmp_path / "e.html").read_text()
    with pytest.raises(InputError):
        corpus_report(str(tmp_path / "none.jsonl"), tmp_path / "n.html", quarantine=tmp_path / "q.jsonl")
    assert not (tmp_path / "n.html").exists()


def test_listing_tells_roles_by_sign_and_topics_once() -> None:
    html = fragment("listing", make_page("a", 0).to_json()["segments"])
    text = re.sub(r"<[^>]+>", " ", html)
    assert text.count("█") == 5
    assert text.count("▒") == 4
    assert html.count("<b>[") == 3
    assert "… (900 characters)" in fragment("listing", [{"text": "x" * 900}])


def test_escape() -> None:
    assert escape('<a href="x">&\'\x00\ud800') == "&lt;a href=&#34;x&#34;&gt;&amp;&#39;\ufffd\ufffd"

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.corpus.page import Page, Segment
from train.corpus.quality.check import check_corpus, require_roles
from train.corpus.quality.rules import PAGE_RULES, CorpusWatch
from train.corpus.read import read_pages, write_pages


def _mutated(line: str, rng: random.Random) -> str:
    """One line, damaged in one of the ways that files are."""
    at = rng.randrange(len(line))
    record = json.loads(line)
    return rng.choice(
        [
            lambda: line,
            lambda: line[:at],
            lambda: line[:at] + rng.choice('{}[]",:\\\x00é') + line[at + 1 :],
            lambda: json.dumps({**record, "segments": []}),
            lambda: json.dumps({**record, "segments": [{"text": "x", "role": "x"}]}),
            lambda: json.dumps({**record, "site": None}),
            lambda: json.dumps([record]),
            lambda: json.dumps({**record, "page_id": "same"}),
        ]
    )()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_every_line_is_kept_or_quarantined(corpus: Path, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = random.Random(seed)
    folder = tmp_path_factory.getbasetemp()
    lines = [_mutated(line, rng) for line in corpus.read_text(encoding="utf-8").splitlines()[:12]]
    path, quarantine = folder / "mutated.jsonl", folder / "quarantine.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    pages: list[Page] = []
    report = check_corpus(path, quarantine=quarantine, on_page=pages.append)
    assert report.lines == sum(1 for line in lines if line.strip()) == report.kept + sum(report.errors.values())
    assert len(pages) == report.kept
    refused = (
        [json.loads(line) for line in quarantine.read_text(encoding="utf-8").splitlines()]
        if quarantine.exists()
        else []
    )
    assert len(refused) == sum(report.errors.values())
    assert all(row["rule"] in report.errors and row["line"] <= len(lines) for row in refused)


def test_a_clean_corpus_leaves_no_quarantine(corpus: Path, tmp_path: Path) -> None:
    quarantine = tmp_path / "q.jsonl"
    quarantine.write_text("stale")
    report = check_corpus(corpus, quarantine=quarantine, keep=tmp_path / "kept.parquet", report=tmp_path / "r.json")
    assert not report.errors
    assert not quarantine.exists()
    assert read_pages(tmp_path / "kept.parquet") == read_pages(corpus)
    assert json.loads((tmp_path / "r.json").read_text())["kept"] == 72


@pytest.mark.parametrize(
    ("segments", "rule"),
    [
        ([Segment("a", "boilerplate"), Segment("b", "related", 1)], "no-main"),
        ([Segment("\u200b ", "main", 0), Segment("b", "main", 0)], "empty-segment"),
        ([Segment("a", "main", 0)], "one-segment"),
        ([Segment("a" * 60_000, "main", 0), Segment("b", "main", 0)], "long-segment"),
        ([Segment("itâ€™s", "main", 0), Segment("b", "main", 0)], "encoding-debris"),
        ([Segment("a", "main", 0), Segment("b", "related")], "story-without-number"),
        ([Segment("a", "main", 0), Segment("b", "boilerplate")], "short-main"),
        ([Segment("Tom &amp; Ann", "main", 0), Segment("b", "main", 0)], "markup-debris"),
        ([Segment("Tom<br/>Ann", "main", 0), Segment("b", "main", 0)], "markup-debris"),
        ([Segment("a", "main", 0), Segment("b", "related", 2)], "story-number-gap"),
        ([Segment("a", "related", 1), Segment("b", "related", 2), Segment("c", "related", 1)], "story-interrupted"),
        ([Segment("a", "main", 0, "sport"), Segment("b", "main", 0, "tech")], "story-of-two-topics"),
    ],
)
def test_each_warning_has_its_rule_and_keeps_the_page(tmp_path: Path, segments: list[Segment], rule: str) -> None:
    path = tmp_path / "c.jsonl"
    write_pages(path, [Page("p", "s.example", tuple(segments))])
    report = check_corpus(path, quarantine=tmp_path / "q.jsonl")
    assert report.warnings[rule] == 1
    assert report.examples[rule] == "p"
    assert report.kept == 1


def _corpus_rule(tmp_path: Path, pages: list[Page]) -> tuple[dict[str, int], dict[str, str]]:
    write_pages(tmp_path / "c.jsonl", pages)
    report = check_corpus(tmp_path / "c.jsonl", quarantine=tmp_path / "q.jsonl")
    assert report.kept == len(pages)
    return dict(report.warnings), report.examples


def test_a_sound_corpus_breaks_no_rule(pages: list[Page], tmp_path: Path) -> None:
    varied = [page for i, page in enumerate(pages) if i % 6] + [
        make_page(f"site{c}", 90, related=4) for c in "abcdefghijkl"
    ]
    assert _corpus_rule(tmp_path, varied)[0] == {}


def test_the_same_page_under_another_id_is_told(pages: list[Page], tmp_path: Path) -> None:
    warnings, examples = _corpus_rule(tmp_path, [*pages[:9], replace(pages[0], page_id="copy")])
    assert warnings["same-page"] == 1
    assert examples["same-page"] == "copy, as sitea-0"


def test_a_site_whose_pages_are_all_alike_is_told(tmp_path: Path) -> None:
    alike = [make_page("alike", n) for n in range(5)]
    other = [make_page("other", n, related=n % 3) for n in range(6)]
    assert _corpus_rule(tmp_path, alike + other)[1]["uniform-site"] == "alike.example, 5 pages"


def test_a_site_with_most_pages_is_told(tmp_path: Path) -> None:
    pages = [make_page("big", n, related=n % 3) for n in range(6)] + [make_page(f"s{i}", 0) for i in range(5)]
    assert _corpus_rule(tmp_path, pages)[1]["dominant-site"] == "big.example, 6 of 11 pages"


def test_roles_and_topics_on_too_few_sites_are_told(tmp_path: Path) -> None:
    pages = [make_page(f"s{i}", 0, related=0) for i in range(4)]
    pages[0] = pages[0].with_segments((*pages[0].segments, Segment("Comet seen over the bay", "related", 1, "science")))
    warnings, examples = _corpus_rule(tmp_path, pages)
    assert examples["rare-role"] == "related, on 1 site"
    assert "science, on 1 site" in examples["rare-topic"] or warnings["rare-topic"] > 1


def _main(words: int) -> Segment:
    return Segment(" ".join(["word"] * words), "main", 0)


def _short(short: int, long: int) -> list[Segment]:
    return [*[Segment("two words", "boilerplate")] * short, *[_main(25)] * long]


def _stories(*numbers: int) -> list[Segment]:
    return [Segment("a", "related", number) for number in numbers]


@pytest.mark.parametrize(
    ("rule", "kept", "told"),
    [
        ("short-main", [_main(20), _main(5)], [_main(20), _main(4)]),
        ("short-main", [Segment("a", "boilerplate")], [_main(1)]),
        ("short-segments", _short(8, 1), _short(9, 1)),
        ("short-segments", _short(8, 2), _short(10, 1)),
        ("short-segments", [*[Segment("three words here", "boilerplate")] * 10, _main(25)], _short(10, 0)),
        ("one-segment", [_main(25), _main(25)], [_main(25)]),
        ("long-segment", [Segment("a" * 50_000, "main", 0)], [Segment("a" * 50_001, "main", 0)]),
        ("story-number-gap", _stories(2, 1, 1), _stories(1, 3)),
        ("story-number-gap", [Segment("a", "related")], _stories(2)),
        ("story-interrupted", _stories(1, 1, 2), _stories(1, 2, 1)),
        (
            "story-of-two-topics",
            [Segment("a", "main", 0, "sport"), Segment("b", "related", 1, "tech"), Segment("c", "main", 0)],
            [Segment("a", "related", 1, "sport"), Segment("b", "related", 1, "tech")],
        ),
        ("no-main", [_main(1)], [Segment("a", "related", 1)]),
        ("story-without-number", _stories(1), [Segment("a", "related", 1), Segment("b", "related")]),
    ],
)
def test_each_rule_of_a_page_is_broken_from_its_limit_on(rule: str, kept: list[Segment], told: list[Segment]) -> None:
    _, breaks = PAGE_RULES[rule]
    assert not breaks(Page("p", "s", tuple(kept)))
    assert breaks(Page("p", "s", tuple(told)))


def _findings(*sites: list[Page]) -> set[tuple[str, str]]:
    watch = CorpusWatch()
    for own in sites:
        for page in own:
            watch.page(page)
    assert watch.sites == len({page.site for own in sites for page in own})
    return {(rule, what) for rule, what in watch.findings() if not rule.startswith("rare")}


def _site(site: str, count: int, *, varied: bool) -> list[Page]:
    return [Page(f"{site}{n}", site, (_main(25), *_stories(*range(1, 1 + varied * n)))) for n in range(count)]


def test_each_rule_of_a_site_is_broken_from_its_limit_on() -> None:
    other = _site("other", 6, varied=True)
    assert _findings(_site("a", 4, varied=False), other) == {("dominant-site", "other, 6 of 10 pages")}
    assert _findings(_site("a", 5, varied=False), other) == {
        ("uniform-site", "a, 5 pages"),
        ("dominant-site", "other, 6 of 11 pages"),
    }
    assert _findings(_site("a", 6, varied=True), other) == set(), "half of the pages are not most of them"
    changing = [
        Page(f"c{n}", "c", (_main(25), *_stories(*range(1, 1 + related))))
        for n, related in enumerate((1, 2, 1, 1, 1, 1))
    ]
    assert _findings(changing, other) == set(), "one page is unlike the others"
    one_role = [Page(f"one{n}", "one", (_main(25),) * (n + 1)) for n in range(5)]
    assert _findings(one_role, other) == {("uniform-site", "one, 5 pages"), ("dominant-site", "other, 6 of 11 pages")}
    assert _findings(_site("a", 3, varied=True), _site("b", 1, varied=True)) == set(), "four pages are too few to tell"
    assert _findings(_site("a", 3, varied=True), _site("b", 2, varied=True)) == {("dominant-site", "a, 3 of 5 pages")}


def test_roles_and_topics_are_rare_on_fewer_than_three_sites() -> None:
    watch = CorpusWatch()
    for n in range(3):
        for copy in range(2):
            topics = ["sport", *["tech"] * (n < 2), *["arts"] * (n < 1)]
            stories = tuple(Segment("a", "main", 0, topic) for topic in topics)
            watch.page(Page(f"p{n}{copy}", f"s{n}", (*stories, *_stories(1) * (n < 2), Segment("b", "boilerplate"))))
    rare = [(rule, what) for rule, what in watch.findings() if rule.startswith("rare")]
    assert rare == [
        ("rare-role", "related, on 2 sites"),
        ("rare-topic", "arts, on 1 site"),
        ("rare-topic", "tech, on 2 sites"),
    ]


def test_every_finding_is_counted_and_the_first_is_the_example(tmp_path: Path) -> None:
    path, quarantine = tmp_path / "c.jsonl", tmp_path / "q.jsonl"
    pages = [Page(f"p{n}", "s.example", tuple(_stories(1, n))) for n in (1, 2, 3, 4)]
    write_pages(path, [*pages[:3], pages[1], pages[3], pages[2]])
    report = check_corpus(path, quarantine=quarantine)
    assert (report.lines, report.kept, dict(report.errors)) == (6, 4, {"duplicate-page": 2})
    assert report.examples["duplicate-page"].endswith("c.jsonl:4: page_id 'p2' was on line 2 already")
    assert (report.warnings["no-main"], report.examples["no-main"]) == (4, "p1")
    assert (report.warnings["story-number-gap"], report.examples["story-number-gap"]) == (2, "p3")


def test_pages_without_labels_are_not_told_to_lack_a_main_story(tmp_path: Path) -> None:
    write_pages(tmp_path / "c.jsonl", [Page("p", "s.example", (Segment("A &amp; B"), Segment("C")))])
    report = check_corpus(tmp_path / "c.jsonl", quarantine=tmp_path / "q.jsonl", labelled=False)
    assert dict(report.warnings) == {"markup-debris": 1}


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="every segment of the training pages is 'main'"):
        require_roles([Page("p", "s", (Segment("a", "main", 0),))], "training")

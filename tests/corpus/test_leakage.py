from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from tests.helpers.commands import train
from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from train.corpus.page import Page, Segment
from train.corpus.read import write_pages
from train.corpus.splits.leakage import find_leaks, normal
from train.corpus.splits.split import PARTS
from train.evaluation.metrics import evaluate
from train.evaluation.subsets import drop_segments
from train.runtime.text import ROLES

STORY = (
    "The council voted on Tuesday evening to keep the old swimming baths open for another winter after a long and "
    "loud debate."
)


def parts(train: list[Page], validation: list[Page], test: list[Page]) -> dict[str, list[Page]]:
    return {"train": train, "validation": validation, "test": test}


def page(page_id: str, *segments: tuple[str, str]) -> Page:
    return Page(
        page_id,
        f"{page_id}.example",
        tuple(Segment(text, role, {"main": 0, "related": 1}.get(role)) for text, role in segments),
    )


@pytest.mark.parametrize(
    ("copy", "kind"),
    [
        (STORY, "exact"),
        (STORY.upper() + " ", "exact"),
        ("\u00a0" + STORY.replace(" ", "  "), "exact"),
        (STORY.replace("loud", "noisy"), "near"),
        (STORY + " (Reuters)", "near"),
        (
            STORY.replace("council", "cabinet")
            .replace("baths", "halls")
            .replace("winter", "summer")
            .replace("Tuesday", "Friday"),
            None,
        ),
        (STORY[: len(STORY) // 2], None),
    ],
)
def test_injected_duplicates_are_found(copy: str, kind: str | None) -> None:
    report = find_leaks(
        parts(
            [page("a", (STORY, "main"))],
            [page("b", ("another text of some words", "main"))],
            [page("c", (copy, "related"))],
        )
    )
    assert dict(report.leaked) == ({("train", "test", "related", kind): 1} if kind else {})
    assert report.items == ({"test": {"c": [0]}} if kind else {})
    if kind:
        assert report.examples["train", "test", "related", kind] == [("a", "c", copy[:120])]
        row = next(r for r in report.rows() if (r["from"], r["into"], r["role"]) == ("train", "test", "related"))
        assert (row[kind], row["of"], row["share"]) == (1, 1, 1.0)
        json.dumps(report.to_json())


def test_a_segment_that_leaks_from_two_parts_is_one_item() -> None:
    same = [page(name, (STORY, "main")) for name in "abc"]
    report = find_leaks(parts(*([one] for one in same)))
    assert sum(report.leaked.values()) == 3
    assert report.items == {"validation": {"b": [0]}, "test": {"c": [0]}}


def test_what_many_sites_say_is_no_leak() -> None:
    phrase, ago, long = (
        "Sign up for our newsletter",
        "published 2 hours ago",
        "This long call to join our channel stands on many sites and is boilerplate",
    )
    pages = [
        page(f"s{i}", (phrase, "boilerplate"), (ago, "related"), (long, "boilerplate"), (STORY, "related"))
        for i in range(4)
    ]
    report = find_leaks(parts(pages[:3], [], pages[3:]))
    assert dict(report.leaked) == {("train", "test", "related", "exact"): 1}
    assert dict(report.shared_phrases) == {("train", "test", "boilerplate"): 2, ("train", "test", "related"): 1}
    assert report.items == {"test": {"s3": [3]}}


def test_boilerplate_of_two_sites_is_told_as_a_leak() -> None:
    pages = [page(f"s{i}", ("Our house rules for comments", "boilerplate")) for i in range(2)]
    assert dict(find_leaks(parts(pages[:1], [], pages[1:])).leaked) == {("train", "test", "boilerplate", "exact"): 1}


def test_a_clean_split_leaks_nothing_until_a_story_is_copied() -> None:
    pages = {part: [make_page(f"{part}{i}", n) for i in range(3) for n in range(2)] for part in PARTS}
    report = find_leaks(pages)
    assert not report.items.get("test")
    assert report.segments["test"].total() == sum(
        len(s.text.split()) >= 3 for page in pages["test"] for s in page.segments
    )
    pages["test"].append(
        page("copy", ("A headline of its own", "main"), (pages["train"][2].segments[4].text, "related"))
    )
    assert find_leaks(pages).items["test"]["copy"] == [1]


@pytest.mark.parametrize(
    ("source", "into"), [(a, b) for a, b in product(PARTS, PARTS) if PARTS.index(a) < PARTS.index(b)]
)
def test_what_leaks_is_told_by_where_it_comes_from_and_where_it_is_scored(source: str, into: str) -> None:
    others = {part: [page(part, (f"some words of the {part} part alone", "main"))] for part in PARTS}
    others[source].append(page("original", (STORY, "main"), ("Two words", "main")))
    others[into].append(page("copied", ("Two words", "main"), ("words of its own", "related"), (STORY, "related")))
    report = find_leaks(others)
    assert dict(report.leaked) == {(source, into, "related", "exact"): 1}
    assert report.items == {into: {"copied": [2]}}
    told = {(row["from"], row["into"], row["role"]): row for row in report.rows()}
    assert list(told) == [
        (*pair, role) for pair in (("train", "validation"), ("train", "test"), ("validation", "test")) for role in ROLES
    ]
    for key, row in told.items():
        found = key == (source, into, "related")
        assert (
            row["of"]
            == report.segments[key[1]][key[2]]
            == {"main": 1 + (key[1] == source), "related": 2 * (key[1] == into)}.get(key[2], 0)
        )
        assert (row["exact"], row["near"], row["share"], row["shared_phrases"]) == (found, 0, 0.5 * found, 0)


@pytest.mark.parametrize(
    ("sites", "role", "words", "leaks"),
    [
        (2, "boilerplate", 8, True),
        (3, "boilerplate", 8, False),
        (3, "main", 7, False),
        (2, "main", 7, True),
        (3, "main", 8, True),
        (2, "related", 3, True),
        (2, "related", 2, False),
    ],
)
def test_few_words_or_boilerplate_on_three_sites_are_the_language_of_the_web(
    sites: int, role: str, words: int, leaks: bool
) -> None:
    text = " ".join(STORY.split()[:words])
    pages = [page(f"s{i}", (text, role)) for i in range(sites)]
    report = find_leaks(parts(pages[:-1], [], pages[-1:]))
    scored = words >= 3
    assert dict(report.leaked) == ({("train", "test", role, "exact"): 1} if leaks else {})
    assert dict(report.shared_phrases) == ({("train", "test", role): 1} if scored and not leaks else {})
    assert report.segments["test"].total() == scored


@pytest.mark.parametrize(("changed", "near"), [(8, True), (28, False)])
def test_near_copies_share_four_fifths_of_their_five_grams(changed: int, near: bool) -> None:
    def grams(text: str) -> set[str]:
        return {text[i : i + 5] for i in range(len(text) - 4)}

    for n in range(12):
        words = [f"{chr(97 + (n + i) % 26)}{i * 7919 % 997}" for i in range(80)]
        first, second = (" ".join([*words, *(f"{start}{i}" for i in range(changed))]) for start in "xy")
        share = len(grams(first) & grams(second)) / len(grams(first) | grams(second))
        assert share > 0.88 if near else 0.6 < share < 0.7, "sampled grams tell such shares from 0.8"
        found = find_leaks(parts([page("a", (first, "main"))], [], [page("b", (second, "main"))]))
        assert dict(found.leaked) == ({("train", "test", "main", "near"): 1} if near else {})


def test_three_examples_are_shown_and_every_leak_is_counted() -> None:
    pages = [page(f"p{i}", (f"{STORY} {'and so on ' * i}", "main")) for i in range(5)]
    copies = [page(f"c{i}", (one.segments[0].text, "main")) for i, one in enumerate(pages)]
    report = find_leaks(parts(pages, [], copies))
    assert report.leaked["train", "test", "main", "exact"] == 5
    assert [into for _, into, _ in report.examples["train", "test", "main", "exact"]] == ["c0", "c1", "c2"]


def test_the_command_tells_how_many_pages_share_a_story_with_another_part(tmp_path: Path) -> None:
    copied = " ".join([STORY, "Nobody could say what a new boiler would cost the town."])
    told = {}
    for name, text in (("clean", "Another story of its own"), ("copied", copied)):
        folder = tmp_path / name
        write_pages(folder / "train.jsonl", [page("a", (copied, "main")), page("b", ("Some words of its own", "main"))])
        write_pages(folder / "validation.jsonl", [page("c", ("Other words of its own", "main"))])
        write_pages(
            folder / "test.jsonl",
            [page("d", (text, "related"), ("A menu", "boilerplate")), page("e", ("More words", "main"))],
        )
        given = [f"corpus.{part}_path={folder / part}.jsonl" for part in PARTS]
        words = [
            "--config",
            str(ROOT / "configs/demo-baseline.yaml"),
            "corpus.path=null",
            "corpus.composed=0",
            "corpus.languages=[]",
            *given,
        ]
        done = train("leakage", *words, "--json", str(folder / "leaks.json"), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told[name] = json.loads((folder / "leaks.json").read_text())["pages_sharing_stories"]
        assert f"share a story: {told[name]}" in " ".join(done.stdout.split())
    assert told == {"clean": 0, "copied": 1}


def test_normal_text() -> None:
    assert normal("  Ｆull\u00a0WIDTH\n ﬁsh ") == "full width fish"


def test_scores_without_the_leaked_segments() -> None:
    pages = [make_page("a", 0), make_page("b", 0), page("c", (STORY, "main"))]

    def record(p: Page) -> dict[str, object]:
        segments = [{"text": s.text, "role": "main", "confidence": 1.0, "scores": {}, "story": 0} for s in p.segments]
        return {
            "page_id": p.page_id,
            "segments": segments,
            "stories": [{"story": 0, "role": "main", "topic": None, "segments": list(range(len(segments)))}],
        }

    records = [record(p) for p in pages]
    wrong = [i for i, s in enumerate(pages[0].segments) if s.role != "main"]
    kept_pages, kept_records = drop_segments(pages, records, {"a-0": wrong, "c": [0]})
    assert [p.page_id for p in kept_pages] == ["a-0", "b-0"]
    assert len(kept_pages[0].segments) == len(kept_records[0]["segments"]) == len(pages[0].segments) - len(wrong)
    assert kept_records[0]["stories"][0]["segments"] == list(range(len(kept_pages[0].segments)))
    whole, kept = (
        evaluate(p, r, bootstrap_samples=0).values["role/f1/main"]
        for p, r in ((pages[:2], records[:2]), (kept_pages, kept_records))
    )
    assert kept > whole

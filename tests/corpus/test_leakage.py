from __future__ import annotations

import json

import pytest

from tests.helpers.pages import make_page
from train.corpus.leakage import find_leaks, normal
from train.corpus.page import Page, Segment
from train.corpus.split import PARTS
from train.evaluation import evaluate, without

STORY = "The council voted on Tuesday evening to keep the old swimming baths open for another winter after a long and loud debate."


def parts(train: list[Page], validation: list[Page], test: list[Page]) -> dict[str, list[Page]]:
    return {"train": train, "validation": validation, "test": test}


def page(page_id: str, *segments: tuple[str, str]) -> Page:
    return Page(page_id, f"{page_id}.example", tuple(Segment(text, role, {"main": 0, "related": 1}.get(role)) for text, role in segments))


@pytest.mark.parametrize(
    ("copy", "kind"),
    [
        (STORY, "exact"),
        (STORY.upper() + " ", "exact"),
        ("\u00a0" + STORY.replace(" ", "  "), "exact"),
        (STORY.replace("loud", "noisy"), "near"),
        (STORY + " (Reuters)", "near"),
        (STORY.replace("council", "cabinet").replace("baths", "halls").replace("winter", "summer").replace("Tuesday", "Friday"), None),
        (STORY[: len(STORY) // 2], None),
    ],
)
def test_injected_duplicates_are_found(copy: str, kind: str | None) -> None:
    report = find_leaks(
        parts([page("a", (STORY, "main"))], [page("b", ("another text of some words", "main"))], [page("c", (copy, "related"))])
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
    pages = [page(f"s{i}", (phrase, "boilerplate"), (ago, "related"), (long, "boilerplate"), (STORY, "related")) for i in range(4)]
    report = find_leaks(parts(pages[:3], [], pages[3:]))
    assert dict(report.leaked) == {("train", "test", "related", "exact"): 1}
    assert dict(report.shared_phrases) == {("train", "test", "boilerplate"): 2, ("train", "test", "related"): 1}
    assert report.items == {"test": {"s3": [3]}}


def test_boilerplate_of_two_sites_is_told_as_a_leak() -> None:
    pages = [page(f"s{i}", ("Our house rules for comments", "boilerplate")) for i in range(2)]
    assert dict(find_leaks(parts(pages[:1], [], pages[1:])).leaked) == {("train", "test", "boilerplate", "exact"): 1}


def test_a_clean_split_leaks_nothing() -> None:
    pages = {part: [make_page(f"{part}{i}", n) for i in range(3) for n in range(2)] for part in PARTS}
    report = find_leaks(pages)
    assert not report.items.get("test")
    assert report.segments["test"].total() > 0


def test_normal_text() -> None:
    assert normal("  Ｆull\u00a0WIDTH\n ﬁsh ") == "full width fish"


def test_scores_without_the_leaked_segments() -> None:
    pages = [make_page("a", 0), make_page("b", 0), page("c", (STORY, "main"))]

    def record(p: Page) -> dict[str, object]:
        segments = [{"text": s.text, "role": "main", "confidence": 1.0, "scores": {}, "story": 0} for s in p.segments]
        return {"page_id": p.page_id, "segments": segments, "stories": [{"story": 0, "role": "main", "topic": None, "segments": list(range(len(segments)))}]}  # fmt: skip

    records = [record(p) for p in pages]
    wrong = [i for i, s in enumerate(pages[0].segments) if s.role != "main"]
    kept_pages, kept_records = without(pages, records, {"a-0": wrong, "c": [0]})
    assert [p.page_id for p in kept_pages] == ["a-0", "b-0"]
    assert len(kept_pages[0].segments) == len(kept_records[0]["segments"]) == len(pages[0].segments) - len(wrong)
    assert kept_records[0]["stories"][0]["segments"] == list(range(len(kept_pages[0].segments)))
    whole, kept = (
        evaluate(p, r, bootstrap_samples=0).values["role/f1/main"] for p, r in ((pages[:2], records[:2]), (kept_pages, kept_records))
    )
    assert kept > whole

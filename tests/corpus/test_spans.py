"""Where labelled stretches begin and end: doccano, Prodigy and both interfaces of Label Studio, against a count of
characters."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import Page, Segment, parse_page
from train.corpus.sources import doccano, label_studio, prodigy
from train.corpus.sources.spans import split_lines

SMILE = "🙂"
"""One character, two UTF-16 units."""
Stretch = tuple[int, int, str]
Read = list[tuple[str, str | None, int | None]]
_folders: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    _folders.append(tmp_path_factory.mktemp("spans"))
    yield
    _folders.clear()


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _record(source: Callable[[Path, ColumnMapping], Iterator[tuple[int, Any]]], content: str) -> dict[str, Any]:
    path = _folders[-1] / "export"
    path.write_text(content, encoding="utf-8")
    [(_, record)] = source(path, ColumnMapping())
    if isinstance(record, InputError):
        raise record
    found: dict[str, Any] = record
    return found


def _shown(record: dict[str, Any]) -> Read:
    return [(s["text"], s.get("role"), s.get("story")) for s in record["segments"]]


def by_doccano(text: str, stretches: list[Stretch]) -> Read:
    return _shown(_record(doccano.rows, json.dumps({"id": 1, "text": text, "label": stretches})))


def by_doccano_with_relations(text: str, stretches: list[Stretch]) -> Read:
    entities = [
        {"id": i, "start_offset": start, "end_offset": end, "label": label}
        for i, (start, end, label) in enumerate(stretches)
    ]
    return _shown(_record(doccano.rows, json.dumps({"id": 1, "text": text, "entities": entities, "relations": []})))


def by_prodigy(text: str, stretches: list[Stretch]) -> Read:
    spans = [{"start": start, "end": end, "label": label} for start, end, label in stretches]
    return _shown(_record(prodigy.rows, json.dumps({"text": text, "spans": spans, "answer": "accept"})))


def _studio(data: dict[str, Any], values: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    result = [
        {"id": f"r{i}", "from_name": "role", "to_name": "page", "type": kind, "value": value}
        for i, value in enumerate(values)
    ]
    return _record(label_studio.rows, json.dumps([{"id": 1, "data": data, "annotations": [{"result": result}]}]))


def by_label_studio_text(text: str, stretches: list[Stretch]) -> Read:
    values = [
        {"start": start, "end": end, "text": text[start:end], "labels": [label]} for start, end, label in stretches
    ]
    return _shown(_studio({"text": text}, values, "labels"))


def by_label_studio_paragraphs(text: str, stretches: list[Stretch]) -> Read:
    lines = split_lines(text)

    def place(at: int) -> tuple[str, int]:
        before = text[:at].split("\n")
        return str(len(before) - 1), utf16(before[-1])

    values = [
        {
            "start": place(start)[0],
            "end": place(end)[0],
            "startOffset": place(start)[1],
            "endOffset": place(end)[1],
            "paragraphlabels": [label],
        }
        for start, end, label in stretches
    ]
    return _shown(
        _studio(
            {"segments": [{"number": str(i), "text": line} for i, line in enumerate(lines)]}, values, "paragraphlabels"
        )
    )


READERS: dict[str, Callable[[str, list[Stretch]], Read]] = {
    "doccano": by_doccano,
    "doccano with relations": by_doccano_with_relations,
    "Prodigy": by_prodigy,
    "Label Studio, text": by_label_studio_text,
    "Label Studio, paragraphs": by_label_studio_paragraphs,
}


def counted(text: str, stretches: list[Stretch]) -> Read:
    """The rule, character by character: a line is what covers more than half of what one sees of it."""
    marks: list[tuple[str, int | None] | None] = [None] * len(text)
    related = 0
    for start, end, label in sorted(stretches):
        related += label == "related"
        story = {"main": 0, "related": related, "boilerplate": None}[label]
        for at in range(start, end):
            marks[at] = (label, story)
    forgotten = None if not stretches or any(label == "boilerplate" for *_, label in stretches) else "boilerplate"
    answer: Read = []
    begin = 0
    for line in text.split("\n"):
        seen = [mark for mark, char in zip(marks[begin : begin + len(line)], line, strict=True) if not char.isspace()]
        holder = next(
            (mark for mark, n in Counter(seen).items() if mark is not None and 2 * n > len(seen)), (forgotten, None)
        )
        if seen:
            answer.append((line.strip(), *holder))
        begin += len(line) + 1
    return answer


@st.composite
def labelled_texts(draw: st.DrawFn) -> tuple[str, list[Stretch]]:
    """A text of short lines and stretches that do not overlap, wherever they begin and end."""
    text = "\n".join(draw(st.lists(st.text(f"abé {SMILE}", max_size=5), min_size=1, max_size=4)))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=6)))
    labels = [draw(st.sampled_from(["main", "related", "boilerplate", ""])) for _ in cuts[1:]]
    return text, [(start, end, label) for start, end, label in zip(cuts, cuts[1:], labels, strict=False) if label]


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=100)
@given(labelled_texts())
def test_a_line_is_what_covers_more_than_half_of_its_characters(
    reader: str, labelled: tuple[str, list[Stretch]]
) -> None:
    assert READERS[reader](*labelled) == counted(*labelled)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("stretches", "roles"),
    [
        ([(0, 1, "main")], ["boilerplate"] * 3),
        ([(0, 2, "main")], ["main", "boilerplate", "boilerplate"]),
        ([(1, 2, "main")], ["boilerplate"] * 3),
        ([(3, 5, "main")], ["boilerplate", "main", "boilerplate"]),
        ([(1, 5, "main")], ["boilerplate", "main", "boilerplate"]),
        ([(0, 8, "main")], ["main"] * 3),
        ([(2, 7, "main")], ["boilerplate", "main", "boilerplate"]),
        ([(0, 2, "main"), (3, 5, "related")], ["main", "related", "boilerplate"]),
        ([(0, 2, "boilerplate"), (3, 5, "related")], ["boilerplate", "related", None]),
    ],
)
def test_the_end_of_a_stretch_is_not_in_it_and_its_start_is(
    reader: str, stretches: list[Stretch], roles: list[str | None]
) -> None:
    assert [role for _, role, _ in READERS[reader]("ab\ncd\nef", stretches)] == roles


@pytest.mark.parametrize("reader", ["doccano", "doccano with relations", "Prodigy", "Label Studio, text"])
@pytest.mark.parametrize(("start", "end"), [(0, 9), (-1, 2), (2, 2), (3, 2)])
def test_a_stretch_outside_the_text_or_of_nothing_is_refused(reader: str, start: int, end: int) -> None:
    with pytest.raises(InputError) as caught:
        READERS[reader]("ab\ncd\nef", [(start, end, "main")])
    assert caught.value.rule == "bad-span"


def test_touching_stretches_of_one_story_add_up_and_two_stories_do_not() -> None:
    assert by_doccano("abcd", [(0, 2, "main"), (2, 3, "main")]) == [("abcd", "main", 0)]
    assert by_doccano("abcdef", [(0, 2, "main"), (0, 2, "main"), (1, 3, "main")]) == [
        ("abcdef", "boilerplate", None)
    ], "3 of 6, each once"
    assert by_doccano("abcdef", [(0, 4, "main"), (1, 2, "main")]) == [("abcdef", "main", 0)]
    assert by_doccano("abcd", [(0, 2, "related"), (2, 4, "related")]) == [("abcd", "boilerplate", None)]
    assert by_doccano("abcd", [(0, 2, "related#4"), (2, 4, "related#4")]) == [("abcd", "related", 4)]


def test_related_stretches_without_a_number_take_the_next_free_ones_in_page_order() -> None:
    text = "aa\nbb\ncc\ndd\nee"
    stretches = [(12, 14, "related"), (0, 2, "related"), (3, 5, "related#1"), (6, 8, "related"), (9, 11, "main")]
    assert [story for *_, story in by_doccano(text, stretches)] == [2, 1, 3, 0, 4]


@pytest.mark.parametrize(
    ("begin", "end", "stories"),
    [
        (0, 4, [4, 4]),
        (None, None, [4, 4]),
        (0, None, [4, 4]),
        (None, 4, [4, 4]),
        (2, 4, [None, 4]),
        (1, 4, [4, 4]),
        (0, 3, [4, 4]),
        (0, 2, [4, None]),
        (0, 0, [4, None]),
    ],
)
def test_a_region_of_paragraphs_runs_from_its_first_to_its_last(
    begin: int | None, end: int | None, stories: list[int | None]
) -> None:
    lines = ["aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff"]
    offsets = {name: offset for name, offset in (("startOffset", begin), ("endOffset", end)) if offset is not None}
    value = {"start": "3", "end": "4", **offsets, "paragraphlabels": ["related#4"]}
    record = _studio({"segments": [{"text": line} for line in lines]}, [value], "paragraphlabels")
    assert [s["story"] for s in record["segments"]] == [None, None, None, *stories, None]


@pytest.mark.parametrize(
    ("first", "last", "known"), [(0, 2, True), (2, 2, True), (0, 3, False), (-1, 1, False), (2, 1, False)]
)
def test_a_region_of_paragraphs_that_are_not_there_is_refused(first: int, last: int, known: bool) -> None:
    value = {"start": str(first), "end": str(last), "paragraphlabels": ["main"]}
    data = {"segments": [{"text": text} for text in ("aa", "bb", "cc")]}
    if known:
        roles = [s["role"] for s in _studio(data, [value], "paragraphlabels")["segments"]]
        assert roles == ["main" if first <= i <= last else "boilerplate" for i in range(3)]
        return
    with pytest.raises(InputError) as caught:
        _studio(data, [value], "paragraphlabels")
    assert caught.value.rule == "bad-span"


def test_offsets_of_a_text_are_read_as_utf16_units_where_the_text_says_so() -> None:
    text = f"{SMILE}{SMILE} top\nstory\nfoot"
    begin = text.index("story")
    value = {"start": begin + 2, "end": begin + 7, "text": "story", "labels": ["main"]}
    assert [s["role"] for s in _studio({"text": text}, [value], "labels")["segments"]] == [
        "boilerplate",
        "main",
        "boilerplate",
    ]
    with pytest.raises(InputError, match="the text was changed since"):
        _studio({"text": text}, [{**value, "start": begin + 3, "end": begin + 8}], "labels")


PAGE = Page(
    "p",
    "s.example",
    (
        Segment("Menü", "boilerplate"),
        Segment(f"a{SMILE}b", "main", 0, "sport"),
        Segment(" ", "boilerplate"),
        Segment(f"{SMILE}{SMILE}", "related", 3, "tech"),
        Segment("More", "related"),
    ),
    "en",
)


def test_a_task_marks_each_segment_from_its_first_to_its_last_utf16_unit() -> None:
    def region(i: int, kind: str, end: int, **value: Any) -> dict[str, Any]:
        name = {"paragraphlabels": "role", "number": "story", "choices": "topic"}[kind]
        place = {"start": str(i), "end": str(i), "startOffset": 0, "endOffset": end}
        return {
            "id": f"s{i}",
            "to_name": "page",
            "origin": "manual",
            "from_name": name,
            "type": kind,
            "value": {**place, **value},
        }

    [annotation] = label_studio.task(PAGE)["annotations"]
    assert annotation == {
        "was_cancelled": False,
        "ground_truth": False,
        "result": [
            region(0, "paragraphlabels", 4, text="Menü", paragraphlabels=["boilerplate"]),
            region(1, "paragraphlabels", 4, text=f"a{SMILE}b", paragraphlabels=["main"]),
            region(1, "choices", 4, choices=["sport"]),
            region(3, "paragraphlabels", 4, text=f"{SMILE}{SMILE}", paragraphlabels=["related"]),
            region(3, "number", 4, number=3),
            region(3, "choices", 4, choices=["tech"]),
            region(4, "paragraphlabels", 4, text="More", paragraphlabels=["related"]),
            region(4, "number", 4, number=-1),
        ],
    }


def test_a_prediction_says_how_sure_the_model_was_of_each_segment() -> None:
    roles = [
        ("main", 0, 0.75),
        ("related", 1, 0.5),
        ("boilerplate", None, 1.0),
        ("related", 1, 0.625),
        ("related", None, 0.875),
    ]
    record = {
        "page_id": "p",
        "model": {"name": "n", "version": "7", "family": "f"},
        "segments": [{"role": role, "story": story, "confidence": sure} for role, story, sure in roles],
        "stories": [{"topic": "tech", "segments": [1, 3]}, {"topic": "sport", "segments": [0]}],
    }
    [prediction] = label_studio.task(PAGE, record)["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("n 7 (f)", 0.5)
    told = [
        (
            r["id"],
            r["type"],
            r["value"].get("paragraphlabels") or r["value"].get("choices") or r["value"]["number"],
            r.get("score"),
        )
        for r in prediction["result"]
    ]
    assert told == [
        ("s0", "paragraphlabels", ["main"], 0.75),
        ("s0", "choices", ["sport"], None),
        ("s1", "paragraphlabels", ["related"], 0.5),
        ("s1", "number", 1, None),
        ("s1", "choices", ["tech"], None),
        ("s3", "paragraphlabels", ["related"], 0.625),
        ("s3", "number", 1, None),
        ("s3", "choices", ["tech"], None),
        ("s4", "paragraphlabels", ["related"], 0.875),
        ("s4", "number", -1, None),
    ]
    assert {r["origin"] for r in prediction["result"]} == {"prediction"}


_LABELS = st.sampled_from([("main", 0), ("related", 1), ("related", 2), ("related", None), ("boilerplate", None)])


@settings(max_examples=60)
@given(st.lists(st.tuples(st.text(f"ab{SMILE}\n", min_size=1, max_size=5), _LABELS), min_size=1, max_size=6))
def test_labels_written_as_a_task_are_read_again_as_they_were(marked: list[tuple[str, tuple[str, int | None]]]) -> None:
    kept = [Segment(text, role, story) for text, (role, story) in marked if text.strip() == text]
    page = replace(PAGE, segments=(Segment("Menu", "boilerplate"), *kept))
    path = _folders[-1] / "tasks.json"
    assert label_studio.write_tasks(path, [label_studio.task(page)]) == 1
    [(_, record)] = label_studio.rows(path, ColumnMapping())
    assert parse_page(record, labelled=True) == page


@pytest.mark.parametrize(
    ("annotations", "chosen"),
    [
        ([("main", {}), ("related", {})], "related"),
        ([("main", {"ground_truth": True}), ("related", {})], "main"),
        ([("main", {"ground_truth": False}), ("related", {"ground_truth": False})], "related"),
        ([("main", {"ground_truth": True}), ("related", {"ground_truth": True}), ("boilerplate", {})], "related"),
        ([("main", {}), ("related", {"was_cancelled": True})], "main"),
        ([("main", {}), ("related", {"was_cancelled": True, "ground_truth": True})], "main"),
        ([], None),
    ],
)
def test_the_ground_truth_is_taken_else_the_last_annotation_that_was_not_skipped(
    annotations: list[tuple[str, dict[str, bool]]], chosen: str | None
) -> None:
    def result(role: str) -> list[dict[str, Any]]:
        return [{"id": "r", "from_name": "role", "type": "labels", "value": {"start": 0, "end": 2, "labels": [role]}}]

    task = {
        "id": 1,
        "data": {"text": "ab"},
        "annotations": [{"result": result(role), **more} for role, more in annotations],
    }
    assert [s.get("role") for s in _record(label_studio.rows, json.dumps([task]))["segments"]] == [chosen]

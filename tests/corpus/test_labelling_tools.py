"""Exports as labelling tools write them.

Label Studio: `captureSelection` of `web/libs/editor/src/utils/selection-tools.js` (014c626a) writes a line end of a
region's text as a backslash and an n; `regions/RichTextRegion.js` places regions of HTML by XPath and `globalOffsets`;
relations have no value. doccano: `backend/api/views/download/writer.py` (1.5) and
`backend/data_export/pipeline/factories.py` (1.8), whose `to_json` fills keys that other lines have with null. Prodigy:
the task format of its documentation, which keeps all keys of the task.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources import doccano, label_studio, prodigy

TEXT = "Start\nBus line reopens\nThe bus runs again.\n\nTickets cost less.\nShare\nMuseum shut"
STORY, RELATED = (6, 61), (68, 79)
ROLES = ["boilerplate", "main", "main", "main", "boilerplate", "related"]
Rows = Callable[[Path, ColumnMapping], Iterator[tuple[int, Any]]]


def read(rows: Rows, folder: Path, content: Any, columns: str = "") -> dict[str, Any]:
    path = folder / "export"
    path.write_text(json.dumps(content), encoding="utf-8")
    [(_, record)] = rows(path, ColumnMapping.parse(columns, ""))
    if isinstance(record, InputError):
        raise record
    found: dict[str, Any] = record
    return found


def roles(record: dict[str, Any]) -> list[str | None]:
    return [segment.get("role") for segment in record["segments"]]


def region(name: str, value: dict[str, Any], kind: str = "labels") -> dict[str, Any]:
    return {"id": name, "from_name": "role", "to_name": "text", "type": kind, "origin": "manual", "value": value}


def dragged(text: str, start: int, end: int, label: str) -> dict[str, Any]:
    """A label dragged over a text, as the editor's `captureSelection` writes it."""
    said = text[start:end].replace("\r", "\\n").replace("\n", "\\n")
    return region(label, {"start": start, "end": end, "text": said, "labels": [label]})


def task(data: dict[str, Any], *result: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": 4, "data": {"site": "a.example", **data}, "annotations": [{"id": 1, "result": list(result)}]}]


LABELLED = (dragged(TEXT, *STORY, "main"), dragged(TEXT, *RELATED, "related"))


@pytest.mark.parametrize(("key", "columns"), [("text", ""), ("body", "body=text")])
def test_a_label_of_label_studio_over_several_lines(key: str, columns: str, tmp_path: Path) -> None:
    assert roles(read(label_studio.rows, tmp_path, task({key: TEXT}, *LABELLED), columns)) == ROLES


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(st.text("ab\U0001f642\\n \u00a0", max_size=5), min_size=2, max_size=5),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_whatever_a_selection_makes_of_a_text_is_known_again(lines: list[str], end: str, tmp_path: Path) -> None:
    text = "top" + end + end.join(lines) + end + "foot"
    found = read(label_studio.rows, tmp_path, task({"text": text}, dragged(text, 0, len(text) - 4, "main")))
    assert roles(found) == ["main"] * (len(found["segments"]) - 1) + ["boilerplate"]


def test_relations_and_answers_to_other_questions_are_passed_over_and_counted(tmp_path: Path) -> None:
    relation = {"from_id": "main", "to_id": "related", "type": "relation", "direction": "right", "labels": ["about"]}
    rating = {**region("x", {"rating": 4}, "rating"), "from_name": "quality"}
    found = read(label_studio.rows, tmp_path, task({"text": TEXT}, *LABELLED, relation, rating, relation))
    assert (roles(found), found["passed_over"]) == (ROLES, {"relation": 2, "rating": 1})


@pytest.mark.parametrize("kind", ["hypertextlabels", "labels"])
def test_labels_over_html_are_refused_as_such(kind: str, tmp_path: Path) -> None:
    place = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 9}
    value = {**place, "globalOffsets": {"start": 0, "end": 9}, kind: ["main"]}
    with pytest.raises(InputError, match=r"hypertextlabels, over HTML") as caught:
        read(label_studio.rows, tmp_path, task({"text": "<p>Bus reopens"}, region("x", value, kind)))
    assert caught.value.rule == "bad-label-studio"


def test_each_fault_of_a_task_is_told_by_its_cause(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'it has site, body, note[\s\S]*COLUMNS="body=text"'):
        read(label_studio.rows, tmp_path, task({"body": TEXT, "note": "short"}, *LABELLED))
    box = region("x", {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": ["main"]}, "rectanglelabels")
    with pytest.raises(InputError, match="labels of the type rectanglelabels"):
        read(label_studio.rows, tmp_path, task({"text": TEXT}, box))
    with pytest.raises(InputError, match="the text was changed since"):
        read(label_studio.rows, tmp_path, task({"text": TEXT.replace("Bus", "Tram")}, *LABELLED))


def test_labels_over_paragraphs_that_changed_are_refused(tmp_path: Path) -> None:
    lines = TEXT.replace("\n\n", "\n").split("\n")
    value = {"start": "1", "end": "2", "startOffset": 0, "endOffset": 19, "paragraphlabels": ["main"]}
    labelled = region("x", {**value, "text": "Bus line reopens\n\nThe bus runs again."}, "paragraphlabels")
    data = {"dialogue": [{"author": "", "phrase": line} for line in lines]}
    columns = "dialogue=segments phrase=text"
    assert roles(read(label_studio.rows, tmp_path, task(data, labelled), columns))[:4] == [*ROLES[:3], "boilerplate"]
    data["dialogue"][2]["phrase"] = "The bus does not run."
    with pytest.raises(InputError, match="the text was changed since"):
        read(label_studio.rows, tmp_path, task(data, labelled), columns)


SPANS = [[*STORY, "main"], [*RELATED, "related"]]
ENTITIES = [{"id": i, "start_offset": s, "end_offset": e, "label": label} for i, (s, e, label) in enumerate(SPANS)]
RELATIONS = [{"id": 1, "from_id": 0, "to_id": 1, "type": "about"}]
META = {"page_id": "p9", "url": "https://www.a.example/9", "lang": None}


@pytest.mark.parametrize(
    ("line", "columns", "passed_over"),
    [
        ({"data": TEXT, "label": SPANS, **META}, "", None),
        ({"data": TEXT, "label": SPANS, **META}, "data=text", None),
        ({"data": TEXT, "label": {"entities": ENTITIES, "relations": RELATIONS}, **META}, "", {"relations": 1}),
        ({"text": TEXT, "label": SPANS, "Comments": ["sure?"], **META}, "", {"comments": 1}),
        ({"text": TEXT, "entities": ENTITIES, "relations": RELATIONS, "Comments": [], **META}, "", {"relations": 1}),
        ({"text": TEXT, "entities": SPANS, "cats": ["news"], **META}, "", None),
        ({"text": TEXT, "meta": META, "labels": SPANS, "annotation_approver": None}, "", None),
        (
            {"body": TEXT, "label": SPANS, "meta": {"page_id": "p9"}, "source": META["url"]},
            "body=text source=url",
            None,
        ),
    ],
)
def test_doccano_in_all_its_versions(
    line: dict[str, Any], columns: str, passed_over: dict[str, int] | None, tmp_path: Path
) -> None:
    found = read(doccano.rows, tmp_path, {"id": 7, **line}, columns)
    assert (roles(found), found["page_id"], found["site"]) == (ROLES, "p9", "a.example")
    assert (found.get("passed_over"), found.get("lang")) == (passed_over, None)


def test_doccano_tells_what_it_lacks(tmp_path: Path) -> None:
    numbered = [{"id": 1, "label": 2, "start_offset": 0, "end_offset": 5, "user": 1}]
    with pytest.raises(InputError, match=r"the label 2, by its number"):
        read(doccano.rows, tmp_path, {"id": 1, "text": TEXT, "annotations": numbered})
    with pytest.raises(InputError, match=r'it has id, body, label[\s\S]*COLUMNS="body=text"'):
        read(doccano.rows, tmp_path, {"id": 1, "body": TEXT, "label": SPANS})


@pytest.mark.parametrize(
    ("beside", "columns"),
    [
        ({"page_id": "p7", "url": "https://www.a.example/7", "meta": {"score": 0.5}}, ""),
        ({"page_id": "p7", "meta": {"page_id": "else", "url": "https://a.example/7"}}, ""),
        ({"id": "p7", "source": "https://a.example/7"}, "id=page_id source=url"),
    ],
)
def test_prodigy_keeps_the_keys_of_its_task(beside: dict[str, Any], columns: str, tmp_path: Path) -> None:
    spans = [{"start": s, "end": e, "token_start": 0, "token_end": 1, "label": label} for s, e, label in SPANS]
    own = {"_input_hash": 1, "_task_hash": 2, "_view_id": "spans_manual", "answer": "accept", "tokens": []}
    found = read(prodigy.rows, tmp_path, {"text": TEXT, "spans": spans, **own, **beside}, columns)
    assert (roles(found), found["page_id"], found["site"]) == (ROLES, "p7", "a.example")
    assert not {"answer", "tokens", "meta", "_task_hash"} & found.keys()

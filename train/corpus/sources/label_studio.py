"""Source: Label Studio's JSON export, and tasks for it with pre-annotations.

Two labelling interfaces are read: `Paragraphs` with `ParagraphLabels`, where each segment is a paragraph (what
`write_tasks` makes, `interface` is its configuration), and `Text` with `Labels` over a page's text, a segment a line.
Format: Label Studio documentation, "Label Studio JSON format of annotated tasks" and "Import pre-annotated data"; for
what a region's `text` holds, `captureSelection` and `captureDocumentSelection` of its editor (`selection-tools.js`,
`HtxParagraphs.jsx`, label-studio at 014c626a and 09edc54e).
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.common.files import written_aside
from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import Page
from train.corpus.sources.spans import PASSED_OVER, about_page, mapping, no_text, segments, span, split_lines
from train.runtime.text import ROLES

_KEYS = ("page_id", "site", "lang", "title", "url", "date")
_SEGMENTS, _TEXT, _EXTRA = "segments", "text", "extra"


def interface(topics: Sequence[str] = ()) -> str:
    """The labelling configuration (XML) that `write_tasks`'s tasks need: Settings > Labeling Interface > Code."""
    from xml.sax.saxutils import quoteattr

    colours = {"main": "#2e7d32", "related": "#f9a825", "boilerplate": "#9e9e9e"}
    labels = "\n".join(
        f'    <Label value="{role}" background="{colours[role]}" hotkey="{i}"/>'
        for i, role in enumerate(ROLES, start=1)
    )
    choices = "\n".join(f"    <Choice value={quoteattr(topic)}/>" for topic in topics)
    topic = f'  <Choices name="topic" toName="page" perRegion="true">\n{choices}\n  </Choices>\n' if topics else ""
    return (
        '<View>\n  <Header value="$title"/>\n  <ParagraphLabels name="role" toName="page">\n'
        + labels
        + "\n  </ParagraphLabels>\n"
        '  <Paragraphs name="page" value="$segments" layout="dialogue" nameKey="number" textKey="text"/>\n'
        '  <Number name="story" toName="page" perRegion="true" min="-1"/>\n' + topic + "</View>\n"
    )


def task(page: Page, record: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A page as a Label Studio task.

    Args:
        page: The page. When it is labelled, its labels become an annotation.
        record: `predict`'s answer for it; becomes a prediction, which Label Studio shows as pre-annotation.
        more: Further keys of the task's data, e.g. why it was picked.
    """
    data = {key: getattr(page, key) or "" for key in _KEYS}
    data |= {
        _SEGMENTS: [{"number": str(i), "text": s.text, **_extra(s.extra)} for i, s in enumerate(page.segments)],
        **_extra(page.extra),
        **more,
    }
    made: dict[str, Any] = {"data": data}
    if page.labelled:
        rows = [(s.role, s.story, s.topic, None) for s in page.segments]
        made["annotations"] = [{"result": _result(page, rows), "was_cancelled": False, "ground_truth": False}]
    if record is not None:
        topics = {i: story["topic"] for story in record["stories"] for i in story["segments"]}
        rows = [(s["role"], s["story"], topics.get(i), s["confidence"]) for i, s in enumerate(record["segments"])]
        model = record["model"]
        made["predictions"] = [
            {
                "model_version": f"{model['name']} {model['version']} ({model['family']})",
                "score": min((s["confidence"] for s in record["segments"]), default=0.0),
                "result": _result(page, rows),
            }
        ]
    return made


def _extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that came with the corpus, under one key so that they meet none of ours."""
    return {_EXTRA: dict(extra)} if extra else {}


def _result(page: Page, rows: Iterable[tuple[Any, Any, Any, Any]]) -> list[dict[str, Any]]:
    result = []
    for i, (segment, (role, story, topic, confidence)) in enumerate(zip(page.segments, rows, strict=True)):
        if not segment.text.strip():
            continue  # nothing to mark
        region = {"start": str(i), "end": str(i), "startOffset": 0, "endOffset": _utf16(segment.text)}
        common = {"id": f"s{i}", "to_name": "page", "origin": "manual" if confidence is None else "prediction"}
        scored = {} if confidence is None else {"score": confidence}
        value = {**region, "text": segment.text, "paragraphlabels": [role]}
        result.append({**common, "from_name": "role", "type": "paragraphlabels", "value": value, **scored})
        if role == "related":
            # Label Studio has no null: -1 says that the segment has no story number.
            number = -1 if story is None else story
            result.append({**common, "from_name": "story", "type": "number", "value": {**region, "number": number}})
        if topic is not None:
            result.append({**common, "from_name": "topic", "type": "choices", "value": {**region, "choices": [topic]}})
    return result


def write_tasks(path: Path, tasks: Iterable[dict[str, Any]]) -> int:
    """Writes tasks as one JSON array, whole or not at all; returns their number.

    Args:
        path: The file.
        tasks: The tasks, as `task` makes them.
    """
    import json

    count = 0
    with written_aside(path) as aside, aside.open("wb") as file:
        file.write(b"[")
        for count, one in enumerate(tasks, start=1):
            text = json.dumps(one, ensure_ascii=False).encode("utf-8", "backslashreplace")
            file.write((b",\n" if count > 1 else b"\n") + text)
        file.write(b"\n]\n")
    return count


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(task number from 1, page record or InputError)`; one task is in memory at a time.

    Of several annotations the ground truth is taken, else the last that was not skipped. A task that was skipped only
    is refused; one that nobody opened is an unlabelled page.

    Args:
        path: Label Studio's JSON export.
        naming: Maps the corpus' columns and labels to ours.

    Raises:
        InputError: The file is no such export.
    """
    import ijson

    number = 0
    try:
        with path.open("rb") as file:
            if file.read(3) != codecs.BOM_UTF8:
                file.seek(0)
            for number, item in enumerate(ijson.items(file, "item", use_float=True), start=1):
                try:
                    yield number, _page(item, naming)
                except InputError as error:
                    yield number, error.at(path, number).about(item)
    except (ijson.JSONError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(
            f"not JSON after task {number}: {error}",
            expected="Label Studio's JSON export, one array of tasks",
            remedy="export again as JSON",
            path=path,
            rule="broken-json",
        ) from None
    if number == 0:
        raise InputError(
            "no task in it",
            expected="Label Studio's JSON export, one array of tasks",
            remedy="export as JSON, not JSON-MIN or CSV",
            path=path,
            rule="empty-corpus",
        )


def _page(item: Any, naming: ColumnMapping) -> dict[str, Any]:
    data = naming.record(item["data"]) if isinstance(item, dict) and isinstance(item.get("data"), dict) else None
    if data is None:
        raise _refuse(
            "a task without data",
            "Label Studio's JSON export; JSON-MIN leaves out where labels stand",
            "export as JSON",
        )
    held = next((data[key] for key in (_SEGMENTS, _TEXT) if isinstance(data.get(key), list)), None)
    paragraphs = None if held is None else [naming.record(mapping(p)) for p in held]
    result = _chosen(item)
    labels, used, passed_over = _parted(result, of_paragraphs=paragraphs is not None)
    if paragraphs is not None:
        texts = [p["text"] for p in paragraphs if isinstance(p.get("text"), str)]
        if len(texts) < len(paragraphs):
            raise _refuse(
                "a paragraph without text",
                'data.segments: [{"text": …}]',
                'import the tasks this project writes, or name the key, e.g. COLUMNS="phrase=text"',
            )
        # A line end inside a segment would cut it in two; offsets keep their meaning when it becomes a space.
        lines = [text.replace("\n", " ") for text in texts]
        begins = list(accumulate((len(line) + 1 for line in lines), initial=0))
        labelled = [_region(r, begins, texts) for r in labels]
    elif isinstance(data.get(_TEXT), str):
        text = data[_TEXT]
        texts = lines = split_lines(text)
        units = None if text.isascii() else list(accumulate((1 + (char > "\uffff") for char in text), initial=0))
        labelled = [_stretch(r, text, units) for r in labels]
    else:
        raise no_text(data, "bad-label-studio", "data.segments or data.text")
    extras = _of_regions(used)
    length = sum(map(len, lines)) + len(lines) - 1
    spans = [
        span(start, end, label, length, **extras.get(str(region.get("id")), {}))
        for start, end, label, region in labelled
    ]
    told = {key: value for key, value in data.items() if key not in (_SEGMENTS, _TEXT, _EXTRA)}
    page = about_page(f"task-{item.get('id')}", told)
    page["segments"] = segments(lines, spans, naming, texts)
    page |= {k: v for k, v in mapping(data.get(_EXTRA)).items() if k not in page}
    if paragraphs is not None:
        shown = [p for p, line in zip(paragraphs, lines, strict=True) if line.strip()]
        page["segments"] = [{**mapping(p.get(_EXTRA)), **s} for p, s in zip(shown, page["segments"], strict=True)]
    return naming.with_site(page | ({PASSED_OVER: dict(passed_over)} if passed_over else {}))


def _chosen(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    annotations = item.get("annotations", item.get("completions")) or []
    if not isinstance(annotations, list):
        raise _refuse("annotations that are no list", "Label Studio's JSON export", "export as JSON")
    whole = [a for a in annotations if isinstance(a, dict)]
    kept = [a for a in whole if not a.get("was_cancelled")]
    if whole and not kept:
        raise InputError(
            "every annotation was skipped",
            expected="one that was submitted",
            remedy="label the task",
            rule="not-accepted",
        )
    if not kept:
        return []
    chosen = next((a for a in reversed(kept) if a.get("ground_truth")), kept[-1]).get("result") or []
    if not isinstance(chosen, list) or not all(
        isinstance(r, dict) and (isinstance(r.get("value"), dict) or _type(r) == "relation") for r in chosen
    ):
        raise _refuse("a result that is no list of regions", "Label Studio's JSON export", "export as JSON")
    return chosen


def _type(region: Mapping[str, Any]) -> str:
    return str(region.get("type"))


def _parted(
    result: Sequence[Mapping[str, Any]], *, of_paragraphs: bool
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]], Counter[str]]:
    """The results that label stretches, those that say more of them, and how many of each other type there are.

    Raises:
        InputError: There are labels, and none that can be placed in such a task.
    """
    read = ("labels", "paragraphlabels") if of_paragraphs else ("labels",)
    labels, others, rest = [], [], Counter[str]()
    for region in result:
        kind, value = _type(region), region.get("value")
        if kind in read and value is not None and not _of_html(value):
            labels.append(region)
        elif value is not None and (region.get("from_name"), kind) in (("story", "number"), ("topic", "choices")):
            others.append(region)
        else:
            rest["hypertextlabels" if value is not None and _of_html(value) else kind] += 1
    unread = sorted(kind for kind in rest if kind.endswith("labels"))
    if unread and not labels:
        html = unread == ["hypertextlabels"]
        raise _refuse(
            f"labels of the type {' and '.join(unread)}" + (", over HTML (HyperText)" if html else ""),
            "Labels over the task's Text, or ParagraphLabels over its Paragraphs",
            "HTML is not read: make label-studio CORPUS=html:FOLDER writes its text as tasks to label"
            if html
            else f"label the {'paragraphs' if of_paragraphs else 'text'} in such an interface",
        )
    return labels, others, rest


def _of_html(value: Mapping[str, Any]) -> bool:
    """Whether a region is placed by XPath, as those of HyperText are."""
    return "globalOffsets" in value or str(value.get("start", "")).startswith("/")


def _label(region: Mapping[str, Any]) -> Any:
    labels = region["value"].get(_type(region))
    if not isinstance(labels, list) or len(labels) != 1:
        raise _refuse(
            f"a region with the labels {labels!r:.60}", "one label a region", "set choice=single in the interface"
        )
    return labels[0]


def _region(
    region: Mapping[str, Any], before: Sequence[int], texts: Sequence[str]
) -> tuple[Any, Any, Any, Mapping[str, Any]]:
    """A region of paragraphs as character offsets over all lines."""
    value = region["value"]
    try:
        first, last = int(value["start"]), int(value["end"])
        begins, ends = value.get("startOffset"), value.get("endOffset")
        begins = 0 if begins is None else int(begins)
        ends = None if ends is None else int(ends)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise _refuse(
            f"a region without place: {value!r:.80}", "start, end, startOffset, endOffset", "export as JSON"
        ) from None
    if not 0 <= first <= last < len(texts):
        raise InputError(
            f"a region over paragraphs {first} to {last}",
            expected=f"0..{len(texts) - 1}",
            remedy="export again",
            rule="bad-span",
        )
    begin = _from_utf16(texts[first], begins)
    until = len(texts[last]) if ends is None else _from_utf16(texts[last], ends)  # without one: to the paragraph's end
    said = value.get("text")
    if isinstance(said, str) and begin >= 0 and until >= 0:
        head, tail = texts[first][begin : until if first == last else None], texts[last][:until]
        said = _bare(said)
        whole = said == _bare(head) if first == last else said.startswith(_bare(head)) and said.endswith(_bare(tail))
        if not whole:
            raise _changed(value, head)
    return before[first] + begin, before[last] + until, _label(region), region


def _stretch(
    region: Mapping[str, Any], text: str, units: Sequence[int] | None
) -> tuple[Any, Any, Any, Mapping[str, Any]]:
    """A region of a text. Its offsets count characters, or UTF-16 units in older versions; its own text tells which."""
    value = region["value"]
    start, end, said = value.get("start"), value.get("end"), value.get("text")
    if isinstance(start, int) and isinstance(end, int) and isinstance(said, str):
        here = max(0, start), max(0, end)
        places = [here, (bisect_left(units, start), bisect_left(units, end))] if units else [here]
        exact = next((place for place in places if text[slice(*place)] == said), None)
        there = exact or next((place for place in places if _bare(text[slice(*place)]) == _bare(said)), None)
        if there is None:
            raise _changed(value, text[slice(*here)])
        if there != here:
            start, end = there
    return start, end, _label(region), region


def _bare(text: str) -> str:
    """A text without what the browser's selection changes of it: white space, and line ends, which Label Studio writes
    as a backslash and an n."""
    return re.sub(r"\\n|\s+", "", text)


def _changed(value: Mapping[str, Any], there: str) -> InputError:
    return InputError(
        f"a label at {value['start']}-{value['end']} over {value['text'][:40]!r}",
        expected=f"what stands there: {there[:40]!r}",
        remedy="label the task again, or import its text as it was: the text was changed since",
        rule="bad-span",
    )


def _of_regions(result: Iterable[Mapping[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Story number and topic of each region, by its id."""
    answer: dict[Any, dict[str, Any]] = {}
    for region in result:
        name, value = region.get("from_name"), region["value"]
        if name == "story" and _type(region) == "number":
            answer.setdefault(str(region.get("id")), {})["story"] = value.get("number")
        elif (
            name == "topic"
            and _type(region) == "choices"
            and isinstance(value.get("choices"), list)
            and value["choices"]
        ):
            answer.setdefault(str(region.get("id")), {})["topic"] = value["choices"][0]
    return answer


def _utf16(text: str) -> int:
    return len(text) + sum(char > "\uffff" for char in text)


def _from_utf16(text: str, units: int) -> int:
    """The character at which a text has so many UTF-16 units; past its end, its length plus the rest."""
    if units <= 0 or text.isascii():
        return units
    position = 0
    for position, char in enumerate(text):
        if units <= 0:
            return position
        units -= 1 + (char > "\uffff")
    return position + 1 + units


def _refuse(found: str, expected: str, remedy: str) -> InputError:
    return InputError(found, expected=expected, remedy=remedy, rule="bad-label-studio")

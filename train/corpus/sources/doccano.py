"""Source: doccano's JSONL export of sequence labelling, one page a line: `{"id", "text", "label": [[start, end, label],
…]}`.

As doccano writes it (`data_export/pipeline/factories.py` of 1.8, `api/views/download/writer.py` of 1.5): the text is
`text`, or `data` in 1.5; labels are `label`, `labels` or `entities`, of projects with relations as `{"label",
"start_offset", "end_offset"}`, which 1.5 puts below `label`. Other keys, and those of `meta`, are the page's metadata
as it was imported: `page_id`, `site`, `url`, …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources import jsonl
from train.corpus.sources.spans import PASSED_OVER, Span, about_page, mapping, no_text, segments, span, split_lines

_TEXT = ("text", "data")
_LABELS = ("label", "labels", "entities", "annotations")
_BESIDE = ("relations", "Comments", "comments")
_EXPECTED = "doccano's export of sequence labelling"


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(line, page record or InputError)`.

    Args:
        path: The JSON lines file.
        naming: Maps the corpus' columns and labels to ours.
    """
    for line, record in jsonl.lines(path, blanks=True):
        yield line, jsonl.converted(record, lambda r: _page(r, naming), path, line)


def _page(task: Mapping[str, Any], naming: ColumnMapping) -> dict[str, Any]:
    record = naming.record(task)
    key = next((key for key in _TEXT if isinstance(record.get(key), str)), None)
    if key is None:
        raise no_text(record, "bad-doccano", f"{_EXPECTED}, whose text is {' or '.join(_TEXT)}")
    text = record.pop(key)
    found = [record.pop(name) for name in _LABELS if name in record]
    labels: Any = next((value for value in found if value), [])
    if isinstance(labels, dict):
        record |= {name: labels[name] for name in _BESIDE if name in labels}
        labels = labels.get("entities") or []
    if not isinstance(labels, list):
        raise _refuse(f"labels are {labels!r:.60}", "a list of [start, end, label]", "export again")
    beside = {
        name.lower(): len(value) for name in _BESIDE if isinstance(value := record.pop(name, None), list) and value
    }
    page = about_page(f"doccano-{record.pop('id', None)}", naming.record(mapping(record.pop("meta", None))), record)
    page["segments"] = segments(split_lines(text), [_span(label, len(text)) for label in labels], naming)
    return naming.with_site(page | ({PASSED_OVER: beside} if beside else {}))


def _span(label: Any, length: int) -> Span:
    if isinstance(label, dict) and {"start_offset", "end_offset"} <= label.keys():
        if isinstance(label.get("label"), int):
            raise _refuse(
                f"the label {label['label']}, by its number", "labels by their names", "export as JSONL (text label)"
            )
        return span(label["start_offset"], label["end_offset"], label.get("label"), length)
    if isinstance(label, list) and len(label) == 3:
        return span(label[0], label[1], label[2], length)
    raise _refuse(
        f"a label {label!r:.60}",
        "[start, end, label]: the project must be one of sequence labelling",
        "label stretches of the page; a category of the whole page does not tell its parts",
    )


def _refuse(found: str, expected: str, remedy: str) -> InputError:
    return InputError(found, expected=expected, remedy=remedy, rule="bad-doccano")

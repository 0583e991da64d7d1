"""Source: doccano's JSONL export of sequence labelling, one page a line: `{"id", "text", "label": [[start, end, label],
…]}`.

Exports with relations (`"entities": [{"label", "start_offset", "end_offset"}, …]`) and the older key `labels` are read
too. Other keys are the page's metadata as it was imported: `page_id`, `site`, `url`, …
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources import jsonl
from train.corpus.sources.spans import Span, segments, span, split_lines

_OWN_KEYS = ("id", "text", "label", "labels", "entities", "relations", "Comments", "comments")


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(line, page record or InputError)`.

    Args:
        path: The JSON lines file.
        naming: Maps the corpus' columns and labels to ours.
    """
    for line, record in jsonl.lines(path):
        yield line, jsonl.converted(record, lambda r: _page(r, naming), path, line)


def _page(record: Mapping[str, Any], naming: ColumnMapping) -> dict[str, Any]:
    text = record.get("text")
    if not isinstance(text, str):
        raise InputError(
            f"text is {text!r:.60}",
            expected="doccano's export of sequence labelling",
            remedy="export as JSONL",
            rule="bad-doccano",
        )
    labels: Any = next((record[key] for key in ("label", "labels", "entities") if record.get(key) is not None), [])
    if not isinstance(labels, list):
        raise InputError(
            f"labels are {labels!r:.60}",
            expected="a list of [start, end, label]",
            remedy="export again",
            rule="bad-doccano",
        )
    lines = split_lines(text)
    page = {
        "page_id": f"doccano-{record.get('id')}",
        **naming.record({k: v for k, v in record.items() if k not in _OWN_KEYS}),
    }
    page["segments"] = segments(lines, [_span(label, len(text)) for label in labels], naming)
    return naming.with_site(page)


def _span(label: Any, length: int) -> Span:
    if isinstance(label, dict):
        return span(label.get("start_offset"), label.get("end_offset"), label.get("label"), length)
    if isinstance(label, list) and len(label) == 3:
        return span(label[0], label[1], label[2], length)
    raise InputError(
        f"a label {label!r:.60}",
        expected="[start, end, label]: the project must be one of sequence labelling",
        remedy="label stretches of the page; a category of the whole page does not tell its parts",
        rule="bad-doccano",
    )

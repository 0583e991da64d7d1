"""Source: Prodigy's JSONL of spans (`spans.manual`, `ner.manual`), one page a line.

`{"text", "spans": [{"start", "end", "label"}, …], "meta": {…}, "answer": "accept", "_input_hash": …}`. Prodigy keeps
every key of the task that it was given, so `page_id`, `site`, `url` and the like stand beside the text or in `meta`.
What was not accepted is refused by rule, and so counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources import jsonl
from train.corpus.sources.spans import about_page, mapping, no_text, segments, span, split_lines

_OWN_KEYS = ("text", "spans", "tokens", "meta", "answer", "html", "options", "accept", "label")


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
    text, spans, decision = record.get("text"), record.get("spans"), record.get("answer", "accept")
    if decision != "accept":
        raise InputError(
            f"the answer is {decision!r}",
            expected="accept",
            remedy="decide it in Prodigy, or leave it out",
            rule="not-accepted",
        )
    if not isinstance(text, str):
        raise no_text(record, "bad-prodigy", 'text and spans: {"text": …, "spans": [{"start", "end", "label"}]}')
    if not isinstance(spans or [], list) or (not spans and {"options", "label"} & record.keys()):
        raise InputError(
            "a task of categories, without spans",
            expected='{"text": …, "spans": [{"start", "end", "label"}]}',
            remedy="label the page's stretches with spans.manual; a category of a loose text does not tell its place",
            rule="bad-prodigy",
        )
    marked = [s if isinstance(s, dict) else {} for s in spans or []]
    beside = {key: value for key, value in record.items() if key not in _OWN_KEYS and not key.startswith("_")}
    page = about_page(f"prodigy-{record.get('_input_hash')}", naming.record(mapping(record.get("meta"))), beside)
    page["segments"] = segments(
        split_lines(text), [span(s.get("start"), s.get("end"), s.get("label"), len(text)) for s in marked], naming
    )
    return naming.with_site(page)

"""Source: L3S-GN1 (Kohlschütter, Fankhauser & Nejdl, WSDM 2010), news pages annotated inside the HTML.

`annotated/UUID.html` holds `<span class="x-nc-selN">`: 1 headline and 2 full text are main, 4 is related; 0, 3
(supplemental), 5 (comment) and what is unmarked are boilerplate, with the annotators' own word kept as `sub_label`.
`url-mapping.txt` has a line `<urn:uuid:UUID> URL` for each page. Of nested spans the innermost counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.html_blocks import Block, files, read_html, read_within
from train.corpus.sources.html_folder import SUFFIXES, numbered, page_record

_LABELS = {"0": "not content", "1": "headline", "2": "full text", "3": "supplemental", "4": "related", "5": "comment"}
_ROLES = {"headline": "main", "full text": "main", "related": "related"}
_CLASS = re.compile(r"(?:^|\s)x-nc-sel([0-5])(?:\s|$)")
_MAPPING = re.compile(r"<urn:uuid:([\w-]+)>\s+(\S+)")


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)`, in the order of the files' names.

    Args:
        path: The folder that holds `annotated/` and `url-mapping.txt`.
        naming: Maps the corpus' columns and labels to ours.

    Raises:
        InputError: There is no annotated page.
    """
    folder = path / "annotated" if (path / "annotated").is_dir() else path
    urls = _urls(path)

    def convert(file: Path) -> dict[str, Any]:
        page = read_html(read_within(file, path), _mark)
        name = file.name.partition(".")[0]
        record = naming.with_site(page_record(name, page, urls.get(name) or page.url))
        record["segments"] = _segments(page.blocks)
        return record

    html_files = list(files(folder, SUFFIXES))
    if not html_files:
        raise InputError(
            "no HTML file",
            expected="annotated/*.html",
            remedy="name the folder that the archive unpacks to",
            path=path,
            rule="no-file",
        )
    return numbered(html_files, convert)


def _urls(path: Path) -> dict[str, str]:
    file = path / "url-mapping.txt"
    if not file.is_file():
        return {}
    text = read_within(file, path).decode("utf-8", "replace")
    return {match.group(1): match.group(2) for match in map(_MAPPING.match, text.splitlines()) if match}


def _mark(element: Any) -> str | None:
    match = _CLASS.search(element.get("class") or "")
    return _LABELS[match.group(1)] if match else None


def _segments(blocks: list[Block]) -> list[dict[str, Any]]:
    """Related blocks that follow each other are one story: L3S does not number them."""
    segments: list[dict[str, Any]] = []
    story, last = 0, ""
    for block in blocks:
        label = block.mark
        role = _ROLES.get(label or "", "boilerplate")
        story += role == "related" and last != "related"
        segment = {"text": block.text, "role": role, "story": {"main": 0, "related": story}.get(role)}
        segments.append(segment if label is None else segment | {"sub_label": label})
        last = role
    return segments

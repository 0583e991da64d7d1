"""Source: CleanEval (Baroni, Chantree, Kilgarriff & Sharoff, LREC 2008) and sets laid out like it (CleanPortalEval).

Anywhere below the folder: `NAME.html` and its gold `NAME.txt` (or `NAME-cleaned.txt`), whose first line may be `URL: …` and whose
paragraphs begin with `<h>`, `<p>` or `<l>`. Blocks inside the gold are main, all others boilerplate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.corpus.naming import Naming
from train.corpus.sources.aeb import aligned
from train.corpus.sources.html_blocks import decode, files, read_html, read_within
from train.corpus.sources.html_folder import SUFFIXES, numbered, page_record
from train.errors import InputError

_URL = re.compile(r"\s*URL:\s*(\S+)[^\n]*\n?", re.I)
_TAG = re.compile(r"</?(?:h|p|l)>", re.I)


def rows(path: Path, naming: Naming) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)`, in the order of the files' names."""
    golds = {file.stem.removesuffix("-cleaned"): file for file in files(path, (".txt",))}

    def convert(file: Path) -> dict[str, Any]:
        name = file.name.partition(".html")[0].removesuffix(".htm")
        if name not in golds:
            raise InputError("no gold text for it", expected=f"{name}.txt or {name}-cleaned.txt", remedy="complete the set", rule="no-gold")
        url, gold = read_gold(decode(read_within(golds[name], path)))
        page = read_html(read_within(file, path))
        record = naming.with_site(page_record(name, page, url or page.url))
        record["segments"] = aligned(page, gold)
        return record

    return numbered(files(path, SUFFIXES), convert)


def read_gold(text: str) -> tuple[str | None, str]:
    """The address and the gold text, a paragraph a line."""
    match = _URL.match(text)
    body = text[match.end() :] if match else text
    return (match.group(1) if match else None), "\n".join(" ".join(part.split()) for part in _TAG.split(body) if part.strip())

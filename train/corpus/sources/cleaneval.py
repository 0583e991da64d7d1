"""Source: CleanEval (Baroni, Chantree, Kilgarriff & Sharoff, LREC 2008) and sets laid out like it (CleanPortalEval).

Below the folder: `NAME.html` and its gold `NAME.txt` (or `NAME-cleaned.txt`), side by side or in folders that are
called alike but for a word such as original, input, cleaned or GoldStandard (`en_original/1.html` and
`en_cleaned/1-cleaned.txt`). Its first line may be `URL: …` and whose paragraphs begin with `<h>`, `<p>` or `<l>`.
Blocks inside the gold are main; related items are told by markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.align import Document, Make, as_it_is
from train.corpus.sources.encodings import decode
from train.corpus.sources.html_blocks import files, read_within
from train.corpus.sources.html_folder import SUFFIXES, numbered, stem

_SIDES = {
    "original",
    "originals",
    "cleaned",
    "clean",
    "input",
    "html",
    "raw",
    "gold",
    "goldstandard",
    "standard",
    "txt",
    "text",
    "source",
}
_URL = re.compile(r"\A\s*URL:\s*(\S+)[^\n]*\n?", re.I)
_TAG = re.compile(r"</?(?:h|p|l)>", re.I)


def rows(path: Path, naming: ColumnMapping) -> Iterator[tuple[int, Any]]:
    """Yields `(number from 1, page record or InputError)`, in the order of the files' names.

    Args:
        path: The folder of HTML files and gold texts.
        naming: Maps the corpus' columns and labels to ours.
    """
    return _read(path, lambda document: document.record(naming))


def documents(path: Path) -> Iterator[tuple[int, Any]]:
    """As `rows`, the HTML and the gold text themselves: `(number from 1, Document or InputError)`."""
    return _read(path, as_it_is)


def _read(path: Path, make: Make) -> Iterator[tuple[int, Any]]:
    golds: dict[str, dict[str, Path]] = {}
    for gold_file in files(path, (".txt",)):
        folder = _part(gold_file, path)
        golds.setdefault(gold_file.stem.removesuffix("-cleaned"), {})[folder] = gold_file

    def convert(file: Path) -> Any:
        name = Path(stem(Path(file.name))).name
        own = golds.get(name, {})
        part = _part(file, path)
        gold_file = own.get(part) or (next(iter(own.values())) if len(own) == 1 else None)
        if gold_file is None:
            what = f"{len(own)} gold texts for it, none of them of the part {part!r}" if own else "no gold text for it"
            raise InputError(
                what, expected=f"{name}.txt or {name}-cleaned.txt", remedy="complete the set", rule="no-gold"
            )
        url, gold = read_gold(decode(read_within(gold_file, path)))
        return make(Document(f"{part}/{name}" if part else name, read_within(file, path), gold, url))

    return numbered(files(path, SUFFIXES), convert)


def _part(file: Path, root: Path) -> str:
    """The part of the set a file is in: its folders without the word that tells HTML from gold, so that `en_original`
    meets `en_cleaned`."""
    words = (
        word for word in re.split(r"[\W_]+", file.relative_to(root).parent.as_posix().casefold()) if word not in _SIDES
    )
    return "_".join(word for word in words if word)


def read_gold(text: str) -> tuple[str | None, str]:
    """The address and the gold text, a paragraph a line."""
    match = _URL.match(text)
    body = text[match.end() :] if match else text
    return (match.group(1) if match else None), "\n".join(
        " ".join(part.split()) for part in _TAG.split(body) if part.strip()
    )

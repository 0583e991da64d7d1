"""Where pages come from: one file a source, one small interface.

A source is a function `rows(path, naming)` that yields `(line, record)` lazily: `line` is 1-based (the page's number
where there are no lines) and `record` a page in our JSON form, or an InputError when that one cannot be
read. What is wrong with the whole file is raised. Parsing, refusing and counting is the reader's (`train.corpus.read`).

A corpus is named by its path, whose suffix tells the source, or by `SOURCE:PATH`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.common.files import digest_of, sha256_json
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources import (
    aeb,
    cleaneval,
    csv_table,
    doccano,
    extracted,
    fundus,
    html_folder,
    hub,
    jsonl,
    l3s,
    label_studio,
    parquet,
    prodigy,
    schema_org,
    wcxb,
)

Rows = Iterator[tuple[int, Any]]
Documents = Callable[[Path], Rows]


@dataclass(frozen=True)
class Source:
    """A format of labelled pages.

    Args:
        rows: Reads it.
        what: In a few words, for help and errors.
        folder: Whether its path is a folder (True), a file (False) or either (None).
        documents: Yields `(number, Document or InputError)`, where it is a benchmark that gives HTML and the main
            story's text.
    """

    rows: Callable[[Path, ColumnMapping], Rows]
    what: str
    folder: bool | None = False
    documents: Documents | None = None


SOURCES: dict[str, Source] = {
    "jsonl": Source(jsonl.rows, "our JSON lines, .jsonl or .jsonl.gz"),
    "parquet": Source(parquet.rows, "the same as a table, .parquet"),
    "csv": Source(csv_table.rows, "a table with one segment a row, .csv or .tsv, plain or .gz"),
    "dataset": Source(hub.rows, "a Hugging Face data set: a Hub id (ID@REVISION#SPLIT) or a local folder", None),
    "label-studio": Source(label_studio.rows, "Label Studio's JSON export"),
    "doccano": Source(doccano.rows, "doccano's JSONL export of sequence labelling"),
    "prodigy": Source(prodigy.rows, "Prodigy's JSONL of spans"),
    "l3s": Source(l3s.rows, "the folder of L3S-GN1: annotated/*.html and url-mapping.txt", True),
    "aeb": Source(
        aeb.rows,
        "the folder of article-extraction-benchmark: html/*.html.gz and ground-truth.json",
        True,
        aeb.documents,
    ),
    "cleaneval": Source(
        cleaneval.rows,
        "a folder of CleanEval: HTML files and gold .txt files of the same names",
        True,
        cleaneval.documents,
    ),
    "wcxb": Source(
        wcxb.rows, "the folder of WCXB: SPLIT/html/ID.html.gz and SPLIT/ground-truth/ID.json", True, wcxb.documents
    ),
    "wcxb-no-story": Source(
        wcxb.rows_without_story, "the same folder's listings, collections and products, which show no main story", True
    ),
    "fundus": Source(
        fundus.rows,
        "the folder of fundus' test pages: COUNTRY/PUBLISHER_DATE.html.gz and COUNTRY/PUBLISHER.json",
        True,
        fundus.documents,
    ),
    "schema-org": Source(
        schema_org.rows, "a folder of HTML files that label themselves by schema.org's articleBody", True
    ),
    "extracted": Source(
        extracted.rows,
        "a folder of HTML files without labels, labelled where trafilatura and readability-lxml agree",
        True,
    ),
    "html": Source(html_folder.rows, "a folder of HTML files, without labels", True),
}
SUFFIXES = {
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".csv.gz": "csv",
    ".tsv.gz": "csv",
}
HELP = "a corpus: .jsonl, .jsonl.gz, .parquet, .csv, .tsv, or SOURCE:PATH with one of " + ", ".join(SOURCES)


def locate(corpus: str | Path) -> tuple[Source, Path]:
    """The source and path of a corpus as the user names it.

    Raises:
        InputError: No source knows it, or nothing is there.
    """
    named, colon, rest = str(corpus).partition(":")
    if colon and named in SOURCES:
        source, path = SOURCES[named], Path(rest)
    else:
        path = Path(corpus)
        if colon and re.fullmatch(r"[a-z][a-z0-9_-]+", named) and not path.exists():
            near = difflib.get_close_matches(named, SOURCES, n=1, cutoff=0.0)
            raise InputError(
                f"the source {named!r}",
                expected=f"one of {', '.join(SOURCES)}",
                remedy=f"did you mean {near[0]}:{rest}?",
                rule="unknown-format",
            )
        suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
        if suffix is None:
            what = "a folder" if path.is_dir() else f"a file named {path.name!r}"
            raise InputError(
                what,
                expected=HELP,
                remedy="name its source, e.g. label-studio:export.json",
                path=path,
                rule="unknown-format",
            )
        source = SOURCES[SUFFIXES[suffix]]
    if source.folder is not None and not (path.is_dir() if source.folder else path.is_file()):
        what = (
            "a folder"
            if path.is_dir()
            else "a file"
            if path.is_file()
            else "no such folder"
            if source.folder
            else "no such file"
        )
        raise InputError(
            what,
            expected=source.what,
            remedy="check the path (for the demo's corpus: `make corpus`)",
            path=path,
            rule="no-file",
        )
    return source, path


def digest(corpus: str | Path) -> str:
    """The sha256 that names a corpus: of a file as `sha256sum` prints it, of a folder over its files' names and bytes.

    Raises:
        InputError: Nothing is there.
    """
    source, path = locate(corpus)
    return sha256_json(hub.fingerprint(path)) if source.rows is hub.rows else digest_of(path)

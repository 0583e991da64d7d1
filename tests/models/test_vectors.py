from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from train.models.encoder import embedding_cache as vectors
from train.models.encoder.embedding_cache import VectorStore


def _lengths(texts: Sequence[str]) -> np.ndarray:
    return np.array([[len(text), 1.0] for text in texts])


def test_a_text_is_read_once_whoever_asks(tmp_path: Path) -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return _lengths(texts)

    store = VectorStore(tmp_path / "store")
    store.read(["a", "bb", "a"], embed)
    store.read(["bb", "ccc"], embed)
    again = VectorStore(tmp_path / "store")
    again.read(["ccc", "a", "\ud800", ""], embed)
    assert sorted(asked) == sorted(["a", "bb", "ccc", "\ud800", ""])
    assert again.of(["ccc", "", "a"])[:, 0].tolist() == [3, 0, 1]
    assert again.of(["a"]).dtype == np.float32


def test_a_killed_run_keeps_what_it_has_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "TEXTS_AT_ONCE", 2)
    calls: list[int] = []

    def killed(texts: Sequence[str]) -> np.ndarray:
        calls.append(len(texts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return _lengths(texts)

    with pytest.raises(KeyboardInterrupt):
        VectorStore(tmp_path).read(["a", "b", "c", "d", "e"], killed)
    VectorStore(tmp_path).read(["a", "b", "c", "d", "e"], killed)
    assert calls == [2, 2, 2, 1]


def test_a_broken_file_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    VectorStore(tmp_path).read(["a"], _lengths)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:40])
    store = VectorStore(tmp_path)
    assert "made anew" in " ".join(capsys.readouterr().err.split())
    store.read(["a"], _lengths)
    assert store.of(["a"])[0, 0] == 1


def test_vectors_of_two_backbones_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(vectors, "_open", {})
    small, large = VectorStore.open("small"), VectorStore.open("large")
    assert small is VectorStore.open("small")
    small.read(["a text"], _lengths)
    large.read(["a text"], lambda texts: 2 * _lengths(texts))
    assert (small.of(["a text"])[0, 0], large.of(["a text"])[0, 0]) == (6, 12)
    monkeypatch.setattr(vectors, "_open", {})
    assert VectorStore.open("large").of(["a text"])[0, 0] == 12, "another process reads what was kept"

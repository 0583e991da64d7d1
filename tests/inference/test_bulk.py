from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from tests.helpers.answers import StubLabeler
from tests.helpers.pages import make_page
from tests.helpers.paths import ROOT
from tests.helpers.toys import toy_baseline
from train.common.errors import InputError
from train.common.lock import in_use
from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import Page
from train.corpus.read import write_pages
from train.inference.batch import label_corpus
from train.inference.resolve import load_labeler
from train.runtime import Labeler


@pytest.fixture
def labeler() -> Labeler:
    """What it answers does not matter here."""
    return cast(Labeler, StubLabeler())


def _table(folder: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(folder).to_pylist())


def test_the_parts_hold_the_records_in_order(labeler: Labeler, pages: list[Page], corpus: Path, tmp_path: Path) -> None:
    found = label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    assert (found.lines, found.labelled, found.refused, found.known) == (72, 72, 0, 0)
    assert _table(tmp_path / "out") == list(labeler.label((page.page_id, page.texts) for page in pages))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_report.json",
        "_state.json",
        *(f"part-0000{i}.parquet" for i in range(4)),
    ]
    again = label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    assert (again.labelled, again.known) == (72, 72)


def test_what_is_no_page_is_refused_and_counted_also_when_resumed(labeler: Labeler, tmp_path: Path) -> None:
    good = [json.dumps({"page_id": f"p{i}", "segments": [{"text": f"line {k}"} for k in range(3)]}) for i in range(10)]
    odd = json.dumps({"page_id": "\ud800", "segments": [{"text": "\ud800 half"}, {"text": ""}]})
    lines = [
        *good[:4],
        "{broken",
        good[2],
        *good[4:],
        odd,
        json.dumps({"page_id": "none", "segments": []}),
        json.dumps({"segments": []}),
    ]
    path = tmp_path / "pages.jsonl"
    path.write_text("\n".join(lines) + "\n")

    class Stops:
        """A labeler that dies in its third part."""

        version = labeler.version
        calls = 0

        def label(self, pages: Any) -> Iterator[dict[str, Any]]:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return labeler.label(pages)

    with pytest.raises(KeyboardInterrupt):
        label_corpus(cast(Labeler, Stops()), str(path), tmp_path / "out", pages_a_part=3)
    assert len(_table(tmp_path / "out")) == 6
    found = label_corpus(labeler, str(path), tmp_path / "out", pages_a_part=3)
    assert (found.lines, found.labelled, found.refused, found.known) == (15, 12, 3, 6)
    ids = [record["page_id"] for record in _table(tmp_path / "out")]
    assert ids == [*(f"p{i}" for i in range(10)), "\\ud800", "none"]
    refused = [
        json.loads(line)
        for part in sorted((tmp_path / "out").glob("_refused-*"))
        for line in part.read_text().splitlines()
    ]
    assert [(row["line"], row["rule"]) for row in refused] == [
        (5, "bad-json"),
        (6, "duplicate-page"),
        (15, "no-page-id"),
    ]
    whole = label_corpus(labeler, str(path), tmp_path / "whole", pages_a_part=3)
    assert (whole.lines, whole.labelled, whole.refused) == (15, 12, 3)
    assert _table(tmp_path / "whole") == _table(tmp_path / "out")


def test_refusals_are_written_as_they_come_and_those_of_other_work_are_not_kept(
    labeler: Labeler, tmp_path: Path
) -> None:
    path = tmp_path / "pages.jsonl"
    path.write_text("{broken\n" * 8)
    found = label_corpus(labeler, str(path), tmp_path / "out", pages_a_part=3)
    assert (found.lines, found.labelled, found.refused) == (8, 0, 8)
    assert [part.read_text().count("\n") for part in sorted((tmp_path / "out").glob("_refused-*"))] == [3, 3, 2]

    for part in (tmp_path / "out").glob("part-*"):  # as if killed before the first
        part.unlink()
    write_pages(path, [make_page("elsewhere", 1)])
    found = label_corpus(labeler, str(path), tmp_path / "out", pages_a_part=3)
    assert (found.labelled, found.refused) == (1, 0)
    assert not list((tmp_path / "out").glob("_refused-*"))


def test_other_work_is_not_mixed_in(labeler: Labeler, corpus: Path, tmp_path: Path) -> None:
    label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    other = tmp_path / "other.jsonl"
    write_pages(other, [make_page("elsewhere", 1)])
    with pytest.raises(InputError, match="another corpus_sha256"):
        label_corpus(labeler, str(other), tmp_path / "out", pages_a_part=20)
    with pytest.raises(InputError, match="another model: v1, now v2"):
        label_corpus(cast(Labeler, StubLabeler("v2")), str(corpus), tmp_path / "out", pages_a_part=20)
    with pytest.raises(InputError, match="another pages_a_part: 20, now 10"):
        label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=10)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="something else is there"):
        label_corpus(labeler, str(corpus), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_the_same_corpus_in_another_place_is_the_same_work(labeler: Labeler, corpus: Path, tmp_path: Path) -> None:
    label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(corpus.read_bytes())
    assert label_corpus(labeler, str(moved), tmp_path / "out", pages_a_part=20).known == 72


def test_work_that_labelled_nothing_yet_gives_way_to_other_work(labeler: Labeler, corpus: Path, tmp_path: Path) -> None:
    class Dies(StubLabeler):
        def label(self, pages: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_corpus(cast(Labeler, Dies("v0")), str(corpus), tmp_path / "out", pages_a_part=20)
    assert label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20).labelled == 72
    assert {record["model"]["version"] for record in _table(tmp_path / "out")} == {"v1"}
    told = json.loads((tmp_path / "out" / "_report.json").read_text())
    assert {name: told[name] for name in ("model", "lines", "labelled", "refused", "parts")} == {
        "model": "v1",
        "lines": 72,
        "labelled": 72,
        "refused": 0,
        "parts": 4,
    }


def test_a_part_of_another_model_is_labelled_again(labeler: Labeler, corpus: Path, tmp_path: Path) -> None:
    label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    label_corpus(cast(Labeler, StubLabeler("v2")), str(corpus), tmp_path / "other", pages_a_part=20)
    shutil.copy(tmp_path / "other" / "part-00002.parquet", tmp_path / "out")
    found = label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    assert (found.known, found.labelled) == (40, 72)
    assert {record["model"]["version"] for record in _table(tmp_path / "out")} == {"v1"}


def test_a_folder_that_another_labels_into_is_refused(labeler: Labeler, corpus: Path, tmp_path: Path) -> None:
    with in_use(tmp_path / "out"), pytest.raises(InputError, match="in use by process"):
        label_corpus(labeler, str(corpus), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dies", [0, 1, 2, 3])
def test_wherever_it_dies_what_is_left_to_label_is_labelled_once(
    corpus: Path, pages: list[Page], tmp_path: Path, dies: int
) -> None:
    """Pages of parts that are whole are not labelled again, those of others are."""
    given: list[str] = []

    class Counts(StubLabeler):
        parts = 0

        def label(self, pages: Any) -> Iterator[dict[str, Any]]:
            if self.parts == dies:
                self.parts = -100
                raise KeyboardInterrupt
            self.parts += 1
            for page_id, texts in pages:
                given.append(page_id)
                yield from super().label([(page_id, texts)])

    labeler = cast(Labeler, Counts())
    with pytest.raises(KeyboardInterrupt):
        label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    found = label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    assert (found.known, found.labelled) == (20 * dies, 72)
    assert given == [page.page_id for page in pages]
    assert [record["page_id"] for record in _table(tmp_path / "out")] == given


def test_an_empty_corpus_is_told(labeler: Labeler, tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_text("\n")
    with pytest.raises(InputError) as caught:
        label_corpus(labeler, str(tmp_path / "none.jsonl"), tmp_path / "out")
    assert caught.value.rule in ("empty-corpus", "empty-file")


def test_the_same_file_read_otherwise_is_other_work(labeler: Labeler, tmp_path: Path) -> None:
    path = tmp_path / "pages.jsonl"
    path.write_text(
        "".join(json.dumps({"page_id": f"p{i}", "segments": [{"text": "t", "body": "b"}]}) + "\n" for i in range(4))
    )
    columns = ColumnMapping.parse("body=text", "")
    label_corpus(labeler, str(path), tmp_path / "out", naming=columns, pages_a_part=2)
    (tmp_path / "out" / "part-00001.parquet").unlink()
    with pytest.raises(InputError, match="another columns"):
        label_corpus(labeler, str(path), tmp_path / "out", pages_a_part=2)
    with pytest.raises(InputError, match="another source"):
        label_corpus(labeler, f"doccano:{path}", tmp_path / "out", naming=columns, pages_a_part=2)
    assert label_corpus(labeler, str(path), tmp_path / "out", naming=columns, pages_a_part=2).known == 2


def test_a_part_that_a_power_cut_left_empty_is_written_again(labeler: Labeler, corpus: Path, tmp_path: Path) -> None:
    label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    before = _table(tmp_path / "out")
    (tmp_path / "out" / "part-00001.parquet").write_bytes(b"")
    found = label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20)
    assert (found.known, found.labelled) == (20, 72)
    assert _table(tmp_path / "out") == before


def test_work_killed_before_its_first_file_was_whole_begins_again(
    labeler: Labeler, corpus: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "._state.json.host.999999.part").write_text('{"half')
    assert label_corpus(labeler, str(corpus), tmp_path / "out", pages_a_part=20).labelled == 72


def test_labels_of_others_are_passed_over(labeler: Labeler, tmp_path: Path) -> None:
    path = tmp_path / "pages.jsonl"
    odd = [{"text": "a", "role": "article"}, {"text": "b", "role": "main", "story": -4}, {"text": "c", "topic": 7}]
    path.write_text(json.dumps({"page_id": "p", "segments": odd}) + "\n")
    assert label_corpus(labeler, str(path), tmp_path / "out").labelled == 1


@pytest.mark.slow
def test_a_killed_process_goes_on_and_no_page_is_lost_or_twice(corpus: Path, tmp_path: Path) -> None:
    model = toy_baseline(corpus, tmp_path / "model").output
    labeler = load_labeler(str(model))
    path = tmp_path / "pages.jsonl"
    pages = [make_page(f"site{n % 7}", n) for n in range(900)]
    write_pages(path, pages)
    words = ["label", "--model", str(model), str(path), "--output", str(tmp_path / "out"), "--pages-a-part", "30"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for parts in (3, 9):
        running = subprocess.Popen(
            [sys.executable, "-m", "train", *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 120
        while (
            len(list((tmp_path / "out").glob("part-*"))) < parts
            and running.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.005)
        running.send_signal(signal.SIGKILL)
        running.wait()
    done = subprocess.run([sys.executable, "-m", "train", *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "900 of 900 pages labelled" in done.stdout
    assert [record["page_id"] for record in _table(tmp_path / "out")] == [page.page_id for page in pages]
    assert _table(tmp_path / "out")[-1] == next(labeler.label([(pages[-1].page_id, pages[-1].texts)]))

"""Data sets in folders: which files are a split, and rows whose types differ from file to file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.read import read_pages
from train.corpus.sources import digest
from train.corpus.sources.hub import rows
from train.corpus.sources.table_folder import split_of


def page(number: int, **more: Any) -> dict[str, Any]:
    segments = [{"text": f"Bus {number} runs", "role": "main", "story": 0}, {"text": "Share", "role": "boilerplate"}]
    return {"page_id": f"p{number}", "site": f"s{number}.example", **more, "segments": segments}


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def ids(corpus: str) -> list[str]:
    return [one.page_id for one in read_pages(corpus)]


def test_shards_are_read_whatever_they_are_packed_in(tmp_path: Path) -> None:
    write(tmp_path / "train-0.jsonl", page(1))
    write(tmp_path / "train-1.jsonl.gz", page(2))
    (tmp_path / "train-2.json").write_text(json.dumps([page(3), page(4)], indent=1))
    (tmp_path / "README.md").write_text("about it")
    assert ids(f"dataset:{tmp_path}") == ["p1", "p2", "p3", "p4"]
    (tmp_path / "train-3.jsonl.zst").write_bytes(b"packed otherwise")
    with pytest.raises(InputError, match=r"tables that are not read: train-3\.jsonl\.zst"):
        read_pages(f"dataset:{tmp_path}")


def test_what_is_no_table_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "train.jsonl", page(1))
    (tmp_path / "notes.xml").write_text("<p>")
    assert ids(f"dataset:{tmp_path}") == ["p1"]
    assert "1 files that are no tables are passed over, first notes.xml" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["jsonl", "parquet", "arrow", "csv"])
def test_a_column_of_nulls_decides_nothing_about_the_next_file(suffix: str, tmp_path: Path) -> None:
    for name, date in (("a", None), ("b", "2026-01-02"), ("c", None)):
        record, path = page(ord(name), date=date), tmp_path / f"{name}.{suffix}"
        if suffix == "jsonl":
            write(path, record)
        elif suffix == "csv":
            lines = [
                f"{record['page_id']},{record['site']},{date or ''},{s['role']},{s['text']}" for s in record["segments"]
            ]
            path.write_text("\n".join(["page_id,site,date,role,text", *lines]) + "\n")
        elif suffix == "parquet":
            pq.write_table(pa.Table.from_pylist([record]), path)
        else:
            table = pa.Table.from_pylist([record])
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
    assert [one.date for one in read_pages(f"dataset:{tmp_path}")] == [None, "2026-01-02", None]


def test_a_split_is_no_other_whose_name_begins_like_it(tmp_path: Path) -> None:
    for number, name in enumerate(["train", "train_extra", "test-00000-of-00002", "test-00001-of-00002"]):
        write(tmp_path / f"{name}.jsonl", page(number))
    assert ids(f"dataset:{tmp_path}#train") == ["p0"]
    assert ids(f"dataset:{tmp_path}#train_extra") == ["p1"]
    assert ids(f"dataset:{tmp_path}#test") == ["p2", "p3"]
    with pytest.raises(InputError, match=r"the splits test, train, train_extra, and none named[\s\S]*#train"):
        read_pages(f"dataset:{tmp_path}")
    with pytest.raises(InputError, match="no file of the split 'dev'; there are test, train"):
        read_pages(f"dataset:{tmp_path}#dev")


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("data/train-00000-of-00004-0123456789abcdef.parquet", "train"),
        ("train/0000.parquet", "train"),
        ("default/partial-train/0001.parquet", "partial-train"),
        ("validation/part-3.jsonl.gz", "validation"),
        ("dev.csv", "dev"),
        ("trainers.jsonl", "trainers"),
        ("news.2026.jsonl", "news"),
        ("fold1.jsonl", "fold1"),
    ],
)
def test_the_split_that_a_file_is_of(file: str, split: str) -> None:
    assert split_of(Path("set") / file, Path("set")) == split


def test_a_saved_data_set_of_several_splits_needs_the_name_of_one(tmp_path: Path) -> None:
    both = {name: datasets.Dataset.from_list([page(i)]) for i, name in enumerate(["train", "test"])}
    datasets.DatasetDict(both).save_to_disk(str(tmp_path / "set"))
    assert ids(f"dataset:{tmp_path / 'set'}#test") == ["p1"]
    with pytest.raises(InputError, match="the splits train, test, and none named"):
        read_pages(f"dataset:{tmp_path / 'set'}")


def test_a_snapshot_of_the_hubs_cache_is_read_by_its_links_and_no_other_link_is(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "hub/blobs", tmp_path / "hub/snapshots/0a"
    write(blobs / "1f", page(1))
    (snapshot / "data").mkdir(parents=True)
    link = snapshot / "data/train.jsonl"
    link.symlink_to("../../../blobs/1f")
    corpus = f"dataset:{snapshot}"
    assert ids(corpus) == ["p1"]
    before = digest(corpus)
    write(blobs / "1f", page(2))
    assert digest(corpus) != before, "what the links lead to is the content"
    write(tmp_path / "secret", page(3))
    for target, what in (
        ("../../../../secret", "a link out of the folder"),
        ("../../../blobs/2e", "a link to nothing"),
    ):
        link.unlink()
        link.symlink_to(target)
        with pytest.raises(InputError, match=what):
            read_pages(corpus)
    link.unlink()
    link.write_text("../../../blobs/1f")
    with pytest.raises(InputError, match="a link, copied as text"):
        read_pages(corpus)


@pytest.mark.parametrize("named", ["segments", "blocks"])
def test_a_sequence_of_hugging_face_is_a_list_of_segments_with_names_for_numbers(named: str, tmp_path: Path) -> None:
    role = datasets.ClassLabel(names=["boilerplate", "main"])
    features = datasets.Features(
        {
            "page_id": datasets.Value("string"),
            "site": datasets.Value("string"),
            named: datasets.Sequence({"text": datasets.Value("string"), "role": role}),
            "about": {"labels": [role]},
        }
    )
    row = {
        "page_id": "p",
        "site": "s.example",
        named: {"text": ["Bus", "Share"], "role": [1, 0]},
        "about": {"labels": [1]},
    }
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_list([row], features=features).to_parquet(tmp_path / "set" / "train.parquet")
    [(_, record)] = rows(tmp_path / "set", ColumnMapping({named: "segments"} if named != "segments" else {}))
    assert [(s["text"], s["role"]) for s in record["segments"]] == [("Bus", "main"), ("Share", "boilerplate")]
    assert record["about"] == {"labels": ["main"]}


def test_a_bad_line_is_refused_alone(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", page(1), page(2))
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write("{torn\n" + json.dumps(page(3)) + "\n")
    found = [record for _, record in rows(tmp_path, ColumnMapping())]
    assert [isinstance(record, InputError) for record in found] == [False, False, True, False]
    assert found[2].line == 3

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.common.errors import InputError
from train.corpus.page import Page, parse_page
from train.corpus.read import read_pages, write_pages
from train.corpus.sources import jsonl

GOOD = {
    "page_id": "p",
    "site": "s.example",
    "segments": [{"text": "Words here.", "role": "main", "story": 0, "topic": "sport"}],
}


def test_unknown_keys_survive_the_round_trip() -> None:
    record = {**GOOD, "source": "mine", "segments": [{**GOOD["segments"][0], "role_source": "gold"}]}
    again = parse_page(record, labelled=True).to_json()
    assert again["source"] == "mine"
    assert again["segments"][0] == record["segments"][0]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"page_id": ""}, "no-page-id"),
        ({"site": None}, "no-site"),
        ({"segments": []}, "no-segments"),
        ({"segments": "text"}, "no-segments"),
        ({"lang": 3}, "bad-key"),
        ({"segments": [{"role": "main"}]}, "bad-segment"),
        ({"segments": [{"text": "a", "role": "headline"}]}, "unknown-role"),
        ({"segments": [{"text": "a"}]}, "unknown-role"),
        ({"segments": [{"text": "a", "role": "related", "story": -1}]}, "bad-story"),
        ({"segments": [{"text": "a", "role": "related", "story": 0}]}, "story-role-mismatch"),
        ({"segments": [{"text": "a", "role": "boilerplate", "story": 2}]}, "story-role-mismatch"),
        ({"segments": [{"text": "a", "role": "main", "topic": ["x"]}]}, "bad-topic"),
    ],
)
def test_each_fault_has_its_rule(change: dict[str, object], rule: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_page({**GOOD, **change}, labelled=True)
    assert caught.value.rule == rule
    assert caught.value.expected
    assert caught.value.remedy


def test_an_unlabelled_page_needs_neither_site_nor_roles() -> None:
    page = parse_page({"page_id": "p", "segments": [{"text": "a"}]}, labelled=False)
    assert not page.labelled
    assert page.to_json()["segments"] == [{"text": "a"}]


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_every_format_gives_the_same_pages(pages: list[Page], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"pages{suffix}"
    assert write_pages(path, pages) == len(pages)
    assert read_pages(path) == pages
    assert list(tmp_path.iterdir()) == [path]


def test_gzip_bytes_depend_on_the_pages_alone(pages: list[Page], tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_pages(tmp_path / name, pages[:3])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


@given(st.text(st.characters(exclude_categories=[]), max_size=40))
def test_any_text_survives_json_lines(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    jsonl.write(path, [{**GOOD, "segments": [{"text": text, "role": "main"}]}])
    assert read_pages(path)[0].texts == [text]


def _write(path: Path, *lines: object) -> Path:
    path.write_text(
        "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines), encoding="utf-8"
    )
    return path


def test_bad_json_names_file_and_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "c.jsonl", GOOD, "", '{"page_id": ')
    with pytest.raises(InputError, match=r"c\.jsonl:3: not JSON") as caught:
        read_pages(path)
    assert caught.value.rule == "bad-json"


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty-corpus"),
        (b"\n\n", "empty-corpus"),
        (b"\xff\xfe{}\n", "bad-encoding"),
        (b'{"page_id": NaN}\n', "bad-json"),
        (b"[1]\n", "not-an-object"),
        (b"[" * 100_000 + b"\n", "bad-json"),
    ],
)
def test_broken_files_are_told_not_raised_raw(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_pages(path)
    assert caught.value.rule == rule


@pytest.mark.parametrize(("name", "rule"), [("c.jsonl.gz", "broken-gzip"), ("c.parquet", "broken-parquet")])
def test_a_half_file_is_refused(pages: list[Page], tmp_path: Path, name: str, rule: str) -> None:
    path = tmp_path / name
    write_pages(path, pages)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError) as caught:
        read_pages(path)
    assert caught.value.rule == rule


def test_missing_file_folder_and_format(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    for name in ("none.jsonl", "folder.jsonl", "pages.xls"):
        with pytest.raises(InputError, match=name):
            read_pages(tmp_path / name)


def test_a_page_id_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = _write(tmp_path / "c.jsonl", GOOD, GOOD)
    with pytest.raises(InputError, match=r"c\.jsonl:2: page_id 'p' was on line 1"):
        read_pages(path)

"""Faults that a fresh reader found once, each with the case that showed it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.helpers.pages import make_page
from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import Page, Segment
from train.corpus.quality.check import check_corpus
from train.corpus.read import Corpus, read_pages, write_pages
from train.corpus.sources import label_studio
from train.corpus.sources.html_blocks import read_html
from train.corpus.sources.spans import segments, span
from train.corpus.splits.leakage import find_leaks
from train.corpus.splits.page_summary import page_summary


def test_an_unclosed_quote_does_not_swallow_the_rest(tmp_path: Path) -> None:
    rows = [f"p{i},s.example,main,{chr(34) * (i == 3)}text {i}" for i in range(200)]
    (tmp_path / "c.csv").write_text("page_id,site,role,text\n" + "\n".join(rows))
    with pytest.raises(InputError, match=r"c\.csv:5: the table breaks in the row that begins here"):
        check_corpus(tmp_path / "c.csv", quarantine=tmp_path / "q.jsonl")


def test_sentence_wise_spans_add_up() -> None:
    text = "One main line. Another bit. The end."
    own = [span(0, 14, "main", 36), span(15, 27, "main", 36), span(28, 36, "main", 36)]
    assert segments([text], own, ColumnMapping())[0]["role"] == "main"
    halves = [span(0, 20, "main", 36), span(21, 36, "related", 36)]
    assert segments([text], halves, ColumnMapping())[0]["role"] == "main", "more than half"
    with pytest.raises(InputError, match="more than 50 labels"):
        segments([text], [span(0, 36, f"related#{i}", 36) for i in range(1, 60)], ColumnMapping())


def test_ten_thousand_spans_take_no_square_of_time() -> None:
    lines = [f"line {i} says something" for i in range(10_000)]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    own = [span(starts[i], starts[i + 1] - 1, "related" if i % 2 else "main", starts[-1]) for i in range(10_000)]
    found = segments(lines, own, ColumnMapping())
    assert [found[1]["story"], found[9_999]["story"]] == [1, 5_000]


def test_two_languages_of_cleaneval_do_not_meet(tmp_path: Path) -> None:
    for part, text in (
        ("en", "The ferry sails again on Friday evening they say"),
        ("zh", "Another story of quite another kind it is"),
    ):
        (tmp_path / f"{part}_original").mkdir()
        (tmp_path / f"{part}_cleaned").mkdir()
        (tmp_path / f"{part}_original" / "1.HTML").write_text(f"<p>Menu</p><p>{text}</p>")
        (tmp_path / f"{part}_cleaned" / "1-cleaned.txt").write_text(f"URL: http://{part}.example/1\n<p>{text}")
    pages = read_pages(f"cleaneval:{tmp_path}")
    assert [(p.page_id, p.site, [s.role for s in p.segments]) for p in pages] == [
        ("en/1", "en.example", ["boilerplate", "main"]),
        ("zh/1", "zh.example", ["boilerplate", "main"]),
    ]


def test_a_saved_data_set_may_not_name_files_outside(tmp_path: Path) -> None:
    import datasets

    row = [make_page("a", 0).to_json()]
    for name in ("inside", "outside"):
        datasets.Dataset.from_list(row).save_to_disk(str(tmp_path / name))
    state = json.loads((tmp_path / "inside" / "state.json").read_text())
    state["_data_files"] = [{"filename": f"../outside/{state['_data_files'][0]['filename']}"}]
    (tmp_path / "inside" / "state.json").write_text(json.dumps(state))
    with pytest.raises(InputError) as caught:
        read_pages(f"dataset:{tmp_path / 'inside'}")
    assert caught.value.rule == "outside-folder"


def test_a_split_that_is_not_there_is_told_and_one_that_is_is_checked(tmp_path: Path) -> None:
    import datasets

    made = datasets.Dataset.from_list([make_page("a", n).to_json() for n in range(2)])
    (tmp_path / "tab").mkdir()
    made.to_parquet(tmp_path / "tab" / "train-0.parquet")
    with pytest.raises(InputError, match="no file of the split 'test'"):
        read_pages(f"dataset:{tmp_path / 'tab'}#test")
    datasets.DatasetDict({"validation": made}).save_to_disk(str(tmp_path / "dd"))
    assert check_corpus(f"dataset:{tmp_path / 'dd'}#validation", quarantine=tmp_path / "q.jsonl").kept == 2


def test_outputs_are_never_written_over_the_corpus(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    write_pages(path, [make_page("a", 0)])
    before = path.read_bytes()
    aside = tmp_path / "q"
    for quarantine, keep, report in ((path, None, None), (aside, path, None), (aside, None, aside)):
        with pytest.raises(InputError) as caught:
            check_corpus(path, quarantine=quarantine, keep=keep, report=report)
        assert caught.value.rule == "same-path"
    assert path.read_bytes() == before


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_odd_values_survive_being_kept(tmp_path: Path, suffix: str) -> None:
    page = make_page("a", 0)
    mixed = [
        Page(f"p{i}", "a.example", page.segments, extra={"k": value})
        for i, value in enumerate((1, "one", [1], {"x": None}))
    ]
    late = [Page(f"late{i}", "a.example", page.segments, extra={"new": i} if i > 290 else {}) for i in range(300)]
    write_pages(tmp_path / f"c{suffix}", [*mixed, *late])
    assert read_pages(tmp_path / f"c{suffix}") == [*mixed, *late]
    surrogate = Page("s", "s.example", (Segment("half \ud801", "main", 0, "t\ud801"),))
    write_pages(tmp_path / f"s{suffix}", [surrogate])
    assert read_pages(tmp_path / f"s{suffix}")[0].segments[0].role == "main"


def test_dates_and_nan_of_tables_become_json(tmp_path: Path) -> None:
    import datetime as dt

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(
        [
            {
                "page_id": "a",
                "site": "a.example",
                "date": dt.date(2025, 1, 31),
                "score": float("nan"),
                "segments": [{"text": "x", "role": "main"}],
            }
        ]
    )
    pq.write_table(table, tmp_path / "t.parquet")
    check_corpus(tmp_path / "t.parquet", quarantine=tmp_path / "q.jsonl", keep=tmp_path / "kept.jsonl")
    page = read_pages(tmp_path / "kept.jsonl")[0]
    assert (page.date, page.extra["score"]) == ("2025-01-31", None)


def test_a_loop_of_links_and_a_pipe_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.html").symlink_to(tmp_path / "loop.html")
    os.mkfifo(tmp_path / "pipe.html")
    (tmp_path / "good.html").write_text("<p>text")
    report = check_corpus(f"html:{tmp_path}", quarantine=tmp_path / "q.jsonl", labelled=False)
    assert (report.kept, dict(report.errors)) == (1, {"no-file": 2})


def test_near_copies_of_boilerplate_on_many_sites_are_no_leak() -> None:
    def page(n: int) -> Page:
        text = f"Share this article number {n} with all of your friends and with your family on the network"
        return Page(f"p{n}", f"s{n}.example", (Segment(text, "boilerplate"), Segment(f"story {n} " * 9, "main", 0)))

    report = find_leaks(
        {"train": [page(n) for n in range(6)], "validation": [], "test": [page(n) for n in range(6, 12)]}
    )
    assert report.leaked["train", "test", "boilerplate", "near"] == 0
    assert report.shared_phrases["train", "test", "boilerplate"] == 6


def test_an_empty_corpus_is_not_green(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text("\n")
    with pytest.raises(InputError) as caught:
        check_corpus(tmp_path / "e.jsonl", quarantine=tmp_path / "q.jsonl")
    assert caught.value.rule == "empty-corpus"
    assert not (tmp_path / "q.jsonl").exists()


def test_a_users_mapping_wins_and_may_hold_spaces() -> None:
    assert ColumnMapping({}, {"Related": "boilerplate"}).role("RELATED") == "boilerplate"
    assert ColumnMapping.parse("", '"full text=main" teaser=related').role("Full Text") == "main"


def test_label_studio_there_and_back_keeps_everything(tmp_path: Path) -> None:
    segments_ = (
        Segment("A headline", "main", 0),
        Segment("A teaser", "related", None, None, {"sub_label": "card"}),
        Segment("More", "boilerplate"),
    )
    page = Page("p", "a.example", segments_, "en", None, None, None, {"source": "mine"})
    label_studio.write_tasks(tmp_path / "t.json", [label_studio.task(page)])
    (tmp_path / "t.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "t.json").read_bytes())
    assert read_pages(f"label-studio:{tmp_path / 't.json'}")[0].to_json() == page.to_json()


def test_refused_records_are_in_the_quarantine_file(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps({"id": 1, "text": "x", "label": [[0, 99, "main"]]}) + "\n")
    check_corpus(f"doccano:{tmp_path / 'd.jsonl'}", quarantine=tmp_path / "q.jsonl")
    assert json.loads((tmp_path / "q.jsonl").read_text())["record"]["text"] == "x"


def test_a_page_that_hides_itself_until_its_script_ran_is_seen() -> None:
    assert [
        b.text for b in read_html(b'<html style="visibility:hidden"><body style="display:none"><p>seen').blocks
    ] == ["seen"]


def test_dates_that_are_none_do_not_sort() -> None:
    assert [
        page_summary(Page("p", "s", (), date=date)).date
        for date in ("2026-99-99", "2026-01-02T10:00", "20260102", None)
    ] == [None, "2026-01-02", None, None]


def test_refused_pages_can_be_passed_over(tmp_path: Path) -> None:
    write_pages(tmp_path / "c.jsonl", [make_page("a", 0)])
    with (tmp_path / "c.jsonl").open("a") as file:
        file.write("{oops\n")
    assert len(list(Corpus(tmp_path / "c.jsonl", skip_refused=True))) == 1

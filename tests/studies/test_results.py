"""Records of what commands measured, and the documents' tables that are made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.config.schema import load_config
from train.evaluation.metrics import Evaluation
from train.studies.result_tables import LAYOUTS, table, tables
from train.studies.results import (
    COMMAND,
    Measured,
    documents,
    read_records,
    render,
    save_cross_validation,
    save_rows,
    update,
)
from train.studies.study import Result, Row
from train.training.crossval import CrossValidation

SCORES = Measured.from_scores(
    Evaluation({"role/macro_f1": 0.8704, "text/f1": 0.9}, {"role/macro_f1": (0.84, 0.89)}, 246, 162, 0.95)
)


def test_the_documents_hold_what_the_records_say() -> None:
    stale = update(ROOT, tables(read_records(ROOT / "configs/results")), write=False)
    assert stale == [], f"render them again: {COMMAND}"


def test_a_record_tells_how_it_came_about_and_replaces_the_row_of_its_name(tmp_path: Path) -> None:
    save_rows("real-pages", {"encoder, lang en": SCORES, "other": SCORES}, command="make old", folder=tmp_path)
    path = save_rows(
        "real-pages", {"encoder, lang en": SCORES}, command="make new", corpus_sha256="ab" * 32, folder=tmp_path
    )
    first, second = read_records(tmp_path)["real-pages"]
    assert [first.row, second.row] == ["encoder, lang en", "other"]
    assert (first.command, second.command) == ("make new", "make old")
    assert first.corpus_sha256 == "ab" * 32
    assert len(first.code_sha256 or "") == 64
    assert first.machine.endswith("cores")
    assert first.metrics["n_pages"] == 246
    assert path == tmp_path / "real-pages.json"


def test_a_cross_validation_keeps_a_row_for_each_slice_of_some_pages(tmp_path: Path) -> None:
    scores, few = (Evaluation({"role/macro_f1": 0.5}, {}, pages, 1, 0.95) for pages in (30, 29))
    (tmp_path / "c.jsonl").write_text('{"page_id": "a"}\n')
    path = ROOT / "configs/pages-baseline.yaml"
    config = load_config(path, [f"corpus.path={tmp_path / 'c.jsonl'}"])
    found = CrossValidation([], scores, {"en": scores, "fr": few}, {})
    save_cross_validation(found, config, path, ["seed=1"], count=3, slice_by="lang", folder=tmp_path)
    rows = read_records(tmp_path)["real-pages"]
    assert [row.row for row in rows] == ["baseline", "baseline, lang en"]
    assert rows[0].command == f'make crossval CONFIG={path} SET="seed=1" SLICE="lang" FOLDS="3"'
    assert "| baseline | 0.500 | 30 | 1 | " in table("real-pages", {"real-pages": rows})


def test_a_table_has_intervals_when_it_was_measured_and_by_what(tmp_path: Path) -> None:
    save_rows("real-pages", {"encoder, lang en": SCORES, "not shown": SCORES}, command="make x", folder=tmp_path)
    header, _, row, _, command = table("real-pages", read_records(tmp_path)).splitlines()
    assert header.startswith("|  | role macro-F1 | text F1 | pages | sites | measured |"), "nobody filled the others"
    assert row.startswith("| encoder | 0.870 (0.840-0.890) | 0.900 | 246 | 162 | 20")
    assert command == "- `make x`"


def test_rows_of_two_measurements_say_when_each_was_made(tmp_path: Path) -> None:
    save_rows("real-pages", {"encoder, lang en": SCORES}, command="make crossval", folder=tmp_path)
    save_rows("demo", {"encoder": Measured({"size/mb": 96})}, command="make demo", folder=tmp_path)
    old = json.loads((tmp_path / "demo.json").read_text())
    (tmp_path / "demo.json").write_text(json.dumps([{**old[0], "date": "2020-01-02"}]))
    text = table("which-model", read_records(tmp_path))
    assert "| encoder | 0.870 | 0.900 | 96 | 2" in text
    assert "; 2020-01-02, " in text
    assert "- `make crossval` (encoder)\n- `make demo` (encoder)\n" in text


def test_the_parts_of_a_comparison_have_a_line_each(tmp_path: Path) -> None:
    rows = {
        f"{part}: {name}": Measured({"section": part, "rate": rate, "unit": "pages/s", "ratio": 1.5, "note": "a|b"})
        for part in ("training", "labelling")
        for name, rate in (("ours", 1200.0), ("theirs", 800.0))
    }
    save_rows("bench-baseline", rows, command="make bench", folder=tmp_path)
    lines = table("bench-baseline", read_records(tmp_path)).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:8]] == [
        "| **training**",
        "| ours",
        "| theirs",
        "| **labelling**",
        "| ours",
        "| theirs",
    ]
    assert lines[3].startswith("| ours | 1,200 pages/s | 1.50 | a\\|b | ")


def test_rows_of_a_study_are_kept_as_its_table_shows_them(tmp_path: Path) -> None:
    config = load_config(ROOT / "configs/pages-baseline.yaml")
    scores = Evaluation({"role/macro_f1": 0.5}, {"role/macro_f1": (0.4, 0.6)}, 2, 1, 0.95)
    rows = {
        "learning-curve": Row("sites-10", config, [], lambda _: [], details={"sites": 10.0, "pages": 17.4}),
        "cross-corpus": Row("a-to-b", config, [], lambda _: [], details={"trained on": "a", "tested on": "b"}),
        "ablation-baseline": Row("whole", config, [], lambda _: [], details={"row": "whole"}),
    }
    for name, row in rows.items():
        save_rows(name, {row.name: Result(row, scores, scores, 1.0).measured()}, command="make x", folder=tmp_path)
    first = {name: table(name, read_records(tmp_path)).splitlines()[2] for name in rows}
    assert first["learning-curve"].startswith("| 10 | 17 | 0.500 | +50.0 (+40.0 to +60.0) | 2")
    assert first["cross-corpus"].startswith("| a | b | 0.500 (0.400-0.600) | 2")
    assert first["ablation-baseline"].startswith("| whole | 0.500 | +50.0 (+40.0 to +60.0) | 2")


def test_what_survived_is_shown_by_fault(tmp_path: Path) -> None:
    row = Measured({"section": "SIGKILL", "fault": "SIGKILL", "what": "fit", "tried": "25 kills", "seconds": 66.0})
    save_rows("survival", {"SIGKILL: fit": row}, command="make test-slow", folder=tmp_path)
    lines = table("survival", read_records(tmp_path)).splitlines()
    assert lines[2].startswith("| **SIGKILL** |")
    assert lines[3].startswith("| fit | 25 kills | 66 | ")


def test_a_table_that_nobody_measured_says_how_to() -> None:
    assert all("RECORD=1" in table(name, {}) for name in LAYOUTS)


def test_only_marked_blocks_of_a_document_change(tmp_path: Path) -> None:
    text = "# A\n<!-- results:demo -->\nold\n<!-- /results -->\n| typed | by hand |\n"
    (tmp_path / "train").mkdir()
    (tmp_path / "outputs").mkdir()
    for path in ("README.md", "train/README.md", "outputs/README.md"):
        (tmp_path / path).write_text(text)
    assert [str(path.relative_to(tmp_path)) for path in documents(tmp_path)] == ["README.md", "train/README.md"]
    made = {"demo": "| new |\n"}
    assert len(update(tmp_path, made, write=False)) == 2
    assert (tmp_path / "README.md").read_text() == text
    update(tmp_path, made)
    assert (tmp_path / "README.md").read_text() == text.replace("old", "| new |")
    assert update(tmp_path, made) == []
    assert (tmp_path / "outputs/README.md").read_text() == text


@pytest.mark.parametrize(
    ("text", "rule"),
    [("<!-- results:demo -->\nno end\n", "bad-block"), ("<!-- results:nothing -->\n<!-- /results -->\n", "no-results")],
)
def test_a_bad_block_is_refused(text: str, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        render(text, {"demo": "x\n"}, Path("README.md"))
    assert caught.value.rule == rule


@pytest.mark.parametrize("text", ["{}", "[{}]", '[{"table": "demo"}]'])
def test_a_file_that_holds_no_records_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text(text)
    with pytest.raises(InputError) as caught:
        read_records(tmp_path)
    assert caught.value.rule == "bad-records"

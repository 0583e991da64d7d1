"""Comparisons and drift as tables: what stands in which cell, and what is marked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.html_tags import told_by
from train.evaluation.metrics import Evaluation
from train.monitoring.drift import Shift
from train.reports import comparison as compare_report
from train.reports.comparison import Change, Compared, heading, rows, verdicts, write_comparison
from train.reports.drift import write_drift_page
from train.studies.comparison import attach_comparison

MACRO, LEAK = "role/macro_f1", "role/related_leak"


def _scores(macro: float, interval: tuple[float, float], leak: float, leaks: tuple[float, float]) -> Evaluation:
    return Evaluation({MACRO: macro, LEAK: leak}, {MACRO: interval, LEAK: leaks}, 9, 3, 0.95)


@pytest.fixture
def compared() -> Compared:
    """Three runs: the second is surely better and leaks surely less, the third is perhaps worse."""
    scores = [
        _scores(value, (value - 0.1, value + 0.1), leak, (0, 1))
        for value, leak in ((0.5, 0.2), (0.75, 0.125), (0.25, 0.2))
    ]
    gains = [_scores(0.25, (0.125, 0.375), -0.075, (-0.1, -0.05)), _scores(-0.25, (-0.5, 0.0), 0.0, (0.0, 0.0))]
    costs: list[dict[str, float]] = [
        {"cost/train_s": 20.0, "size/mb": 2.0},
        {"cost/train_s": 50.0},
        {"cost/train_s": 5.0, "size/mb": 1.0},
    ]
    alike = Change("same words", "main", ("main", "related", "main"))
    other = Change("other words", "related", ("main", "related", "related"))
    return Compared(
        ["a", "b", "c"], costs, ["run a", "run b", "run c"], scores, gains, {"p1": [other, alike], "p0": [alike]}, 9, 3
    )


def test_every_run_stands_beside_the_first_and_less_it(compared: Compared) -> None:
    assert heading(compared) == ["", "a", "b", "less a", "c", "less a"]
    by_name = {line[0]: line[1:] for line in rows(compared)}
    assert by_name["role macro-F1"] == [
        "0.500",
        "0.750",
        "+0.250 (+0.125 to +0.375) ●",
        "0.250",
        "-0.250 (-0.500 to +0.000)",
    ]
    assert by_name["leak"] == ["0.200", "0.125", "-0.075 (-0.100 to -0.050) ●", "0.200", "+0.000 (+0.000 to +0.000)"]
    assert by_name["training s"] == ["20", "50", "2.50 times", "5.0", "0.25 times"]
    assert by_name["model MB"] == ["2.0", "-", "", "1.0", "0.50 times"]
    assert "topic macro-F1" not in by_name, "none of them has one"
    assert verdicts(compared) == [
        "b less a: role macro-F1 +0.250 (+0.125 to +0.375) ●, paired over 3 sites",
        "c less a: role macro-F1 -0.250 (-0.500 to +0.000), paired over 3 sites",
    ]


def test_the_page_shows_what_is_read_differently_and_by_whom(
    compared: Compared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_comparison(tmp_path / "compare.html", compared)
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert told_by(text, "summary") == [
        "p1: 2 segments, a right in 1, b right in 1, c right in 2",
        "p0: 1 segments, a right in 1, b right in 0, c right in 1",
    ]
    cells = told_by(text, "td")
    assert cells[-5:] == ["main", "main", "related", "main", "same words"]
    assert "9 test pages of 3 unseen sites" in text
    monkeypatch.setattr(compare_report, "SHOWN_PAGES", 1)
    monkeypatch.setattr(compare_report, "SHOWN_SEGMENTS", 1)
    write_comparison(tmp_path / "compare.html", compared)
    text = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "Not read alike: 2 pages, the first 1" in text
    assert len(told_by(text, "summary")) == 1
    assert told_by(text, "td")[-1] == "other words"


def test_a_comparison_is_attached_to_every_run_that_was_tracked(
    compared: Compared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[object, ...]] = []
    monkeypatch.setattr("train.studies.comparison.attach", lambda *told: given.append(told) or told[0] != "run b")
    assert attach_comparison(tmp_path / "compare.html", compared) == 2
    assert [told[0] for told in given] == ["run a", "run b", "run c"]
    assert {told[1:] for told in given} == {(tmp_path / "compare.html", "comparison", ". ".join(verdicts(compared)))}


def test_the_drift_page_names_what_is_shifted_and_gives_the_numbers_of_all(tmp_path: Path) -> None:
    shifts = [
        Shift("role", 0.5, 0.375, 0.25, True, ("x", "y"), (0.5, 0.5), (0.25, 0.75)),
        Shift("confidence", 0.0625, 0.125, 0.75, False, ("x", "y"), (0.5, 0.5), (0.5, 0.5)),
    ]
    write_drift_page(tmp_path / "drift.html", shifts, model="baseline v", corpus="new.jsonl", pages=1_234, sites=56)
    text = (tmp_path / "drift.html").read_text(encoding="utf-8")
    assert "<b>Shifted: role.</b>" in text
    assert "1,234 pages of 56 sites of new.jsonl, beside the unseen pages baseline v was tested on" in text
    assert told_by(text, "td") == [
        "",
        "role",
        "0.500",
        "0.250",
        "0.375",
        "shifted",
        "confidence",
        "0.062",
        "0.750",
        "0.125",
        "",
    ]
    assert "role, x, y: reference 50%, 50%; new pages 25%, 75%" in text
    write_drift_page(tmp_path / "drift.html", shifts[1:], model="m", corpus="c", pages=1, sites=1)
    text = (tmp_path / "drift.html").read_text(encoding="utf-8")
    assert "<b>No shift found.</b>" in text
    assert 'class="bad"' not in text

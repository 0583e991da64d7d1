from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.corpus.check import check_corpus, require_roles
from train.corpus.page import Page, Segment
from train.corpus.read import read_pages, write_pages
from train.errors import InputError


def _mutated(line: str, rng: random.Random) -> str:
    """One line, damaged in one of the ways that files are."""
    at = rng.randrange(len(line))
    record = json.loads(line)
    return rng.choice(
        [
            lambda: line,
            lambda: line[:at],
            lambda: line[:at] + rng.choice('{}[]",:\\\x00é') + line[at + 1 :],
            lambda: json.dumps({**record, "segments": []}),
            lambda: json.dumps({**record, "segments": [{"text": "x", "role": "x"}]}),
            lambda: json.dumps({**record, "site": None}),
            lambda: json.dumps([record]),
            lambda: json.dumps({**record, "page_id": "same"}),
        ]
    )()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_every_line_is_kept_or_quarantined(corpus: Path, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = random.Random(seed)
    folder = tmp_path_factory.getbasetemp()
    lines = [_mutated(line, rng) for line in corpus.read_text(encoding="utf-8").splitlines()[:12]]
    path, quarantine = folder / "mutated.jsonl", folder / "quarantine.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    report, pages = check_corpus(path, quarantine=quarantine)
    assert report.lines == sum(1 for line in lines if line.strip()) == report.kept + sum(report.errors.values())
    assert len(pages) == report.kept
    refused = [json.loads(line) for line in quarantine.read_text(encoding="utf-8").splitlines()] if quarantine.exists() else []
    assert len(refused) == sum(report.errors.values())
    assert all(row["rule"] in report.errors and row["line"] <= len(lines) for row in refused)


def test_a_clean_corpus_leaves_no_quarantine(corpus: Path, tmp_path: Path) -> None:
    quarantine = tmp_path / "q.jsonl"
    quarantine.write_text("stale")
    report, _ = check_corpus(corpus, quarantine=quarantine, keep=tmp_path / "kept.parquet", report=tmp_path / "r.json")
    assert not report.errors
    assert not quarantine.exists()
    assert read_pages(tmp_path / "kept.parquet") == read_pages(corpus)
    assert json.loads((tmp_path / "r.json").read_text())["kept"] == 72


@pytest.mark.parametrize(
    ("segments", "rule"),
    [
        ([Segment("a", "boilerplate"), Segment("b", "related", 1)], "no-main"),
        ([Segment("\u200b ", "main", 0), Segment("b", "main", 0)], "empty-segment"),
        ([Segment("a", "main", 0)], "one-segment"),
        ([Segment("a" * 60_000, "main", 0), Segment("b", "main", 0)], "long-segment"),
        ([Segment("itâ€™s", "main", 0), Segment("b", "main", 0)], "encoding-debris"),
        ([Segment("a", "main", 0), Segment("b", "related")], "story-without-number"),
    ],
)
def test_each_warning_has_its_rule_and_keeps_the_page(tmp_path: Path, segments: list[Segment], rule: str) -> None:
    path = tmp_path / "c.jsonl"
    write_pages(path, [Page("p", "s.example", tuple(segments))])
    report, pages = check_corpus(path, quarantine=tmp_path / "q.jsonl")
    assert report.warnings[rule] == 1
    assert len(pages) == 1


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="every segment of the training pages is 'main'"):
        require_roles([Page("p", "s", (Segment("a", "main", 0),))], "training")

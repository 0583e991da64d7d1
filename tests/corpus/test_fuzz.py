"""Damaged inputs over every reader: an answer or a clear error, and every page counted.

`NEWSPARTS_FUZZ` says how many in all: 1,000 by default, 10,000 in `make test-all`.
"""

from __future__ import annotations

import gzip
import os
import random
from math import ceil
from pathlib import Path

import pytest

from tests.helpers import formats
from tests.helpers.damage import damaged
from tests.helpers.topic_formats import TOPIC_KINDS
from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.page import Page
from train.corpus.quality.check import check_corpus
from train.corpus.sources import extracted
from train.corpus.topic_texts import TopicMapping, read_texts, scan_texts

ASKED = int(os.environ.get("NEWSPARTS_FUZZ", "1000"))
SHARES = {name: 0.5 if name == "dataset" else 1.0 for name in formats.FORMATS} | {
    f"topics: {kind}": 0.1 if kind == "dataset" else 0.4 for kind in TOPIC_KINDS
}
"""What is damaged -> how often, beside the others; data sets are opened slowly."""


def _rounds(name: str) -> range:
    return range(ceil(ASKED * SHARES[name] / sum(SHARES.values())))


def _require_clear(error: InputError) -> None:
    assert error.found
    assert error.expected
    assert error.remedy
    assert error.rule != "bad-input", "every refusal has a name of its own"


def _victims(folder: Path) -> list[tuple[Path, bytes]]:
    return [(p, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink()]


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_damaged_corpora_are_refused_clearly_and_counted(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    corpus = formats.FORMATS[name](tmp_path / "set")
    try:
        extracted.extractors()
    except InputError:  # not installed: what is done with their answers is tested all the same
        monkeypatch.setattr(extracted, "extractors", lambda: (formats.stand_in_extractor, formats.stand_in_extractor))
    naming = ColumnMapping.parse(*formats.NAMING.get(name, ("", "")))
    victims = _victims(tmp_path / "set")
    rng = random.Random(name)
    before = check_corpus(corpus, quarantine=tmp_path / "q.jsonl", naming=naming, labelled=False).to_json()
    ran = answered = 0
    for _ in _rounds(name):
        path, content = rng.choice(victims)
        if name == "jsonl.gz" and rng.random() < 0.5:  # a damaged gzip stream is one fault; what is inside has others
            path.write_bytes(gzip.compress(damaged(gzip.decompress(content), rng)))
        else:
            path.write_bytes(damaged(content, rng))
        kept: list[Page] = []
        try:
            report = check_corpus(
                corpus, quarantine=tmp_path / "q.jsonl", naming=naming, labelled=rng.random() < 0.7, on_page=kept.append
            )
        except InputError as error:
            _require_clear(error)
        else:
            quarantined = sum(1 for _ in (tmp_path / "q.jsonl").open("rb")) if report.quarantine else 0
            assert report.lines == report.kept + quarantined == len(kept) + quarantined
            assert report.read == report.lines + report.passed_over.total()
            assert quarantined == sum(report.errors.values())
            answered += 1
        path.write_bytes(content)
        ran += 1
    assert ran == len(_rounds(name)) >= answered
    assert answered or name == "parquet", "all but Parquet, which is read from its end, are read up to the damage"
    assert check_corpus(corpus, quarantine=tmp_path / "q.jsonl", naming=naming, labelled=False).to_json() == before, (
        "nothing is left of it"
    )
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("kind", sorted(TOPIC_KINDS))
def test_damaged_topic_texts_are_refused_clearly(kind: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    named = TOPIC_KINDS[kind](tmp_path / "set")
    victims = _victims(tmp_path / "set")
    rng = random.Random(kind)
    for _ in _rounds(f"topics: {kind}"):
        path, content = rng.choice(victims)
        path.write_bytes(damaged(content, rng))
        try:
            lines = [line for line, _ in scan_texts(named, TopicMapping({}))]
            assert lines == sorted(lines)
            pages, refused = read_texts(named, TopicMapping({}), tmp_path / "q.jsonl")
            assert len(pages) + refused == len(lines)
        except InputError as error:
            _require_clear(error)
        path.write_bytes(content)


def test_as_many_damaged_inputs_are_read_as_are_asked_for() -> None:
    assert sum(len(_rounds(name)) for name in SHARES) >= ASKED, "each test above reads as many as its rounds are"

"""10,000 damaged inputs over every reader: an answer or a clear error, and every page counted."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from tests.helpers import formats
from tests.helpers.damage import damaged
from tests.helpers.topic_formats import TOPIC_KINDS
from train.corpus.check import check_corpus
from train.corpus.naming import Naming
from train.corpus.topic_texts import TopicMapping, scan_texts
from train.errors import InputError

ROUNDS, TOPIC_ROUNDS = 850, 300
SLOW = {"dataset": 400, "parquet": 850}


def _require_clear(error: InputError) -> None:
    assert error.found
    assert error.expected
    assert error.remedy
    assert error.rule != "bad-input", "every refusal has a name of its own"


def _victims(folder: Path) -> list[tuple[Path, bytes]]:
    return [(p, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink()]


@pytest.mark.parametrize("name", sorted(formats.FORMATS))
def test_damaged_corpora_are_refused_clearly_and_counted(name: str, tmp_path: Path) -> None:
    corpus = formats.FORMATS[name](tmp_path / "set") if (tmp_path / "set").mkdir() is None else ""
    naming = Naming.parse(*formats.NAMING.get(name, ("", "")))
    victims = _victims(tmp_path / "set")
    rng = random.Random(name)
    answers = 0
    for _ in range(SLOW.get(name, ROUNDS)):
        path, content = rng.choice(victims)
        if name == "jsonl.gz" and rng.random() < 0.5:  # a damaged gzip stream is one fault; what is inside has others
            path.write_bytes(gzip.compress(damaged(gzip.decompress(content), rng)))
        else:
            path.write_bytes(damaged(content, rng))
        try:
            report = check_corpus(corpus, quarantine=tmp_path / "q.jsonl", naming=naming, labelled=rng.random() < 0.7)
        except InputError as error:
            _require_clear(error)
        else:
            quarantined = sum(1 for _ in (tmp_path / "q.jsonl").open("rb")) if report.quarantine else 0
            assert report.lines == report.kept + quarantined
            assert quarantined == sum(report.errors.values())
            answers += 1
        path.write_bytes(content)
    assert answers > 0
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("kind", sorted(TOPIC_KINDS))
def test_damaged_topic_texts_are_refused_clearly(kind: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    named = TOPIC_KINDS[kind](tmp_path / "set")
    victims = _victims(tmp_path / "set")
    rng = random.Random(kind)
    for _ in range(60 if kind == "dataset" else TOPIC_ROUNDS):
        path, content = rng.choice(victims)
        path.write_bytes(damaged(content, rng))
        try:
            lines = [line for line, _ in scan_texts(named, TopicMapping({}))]
            assert lines == sorted(lines)
        except InputError as error:
            _require_clear(error)
        path.write_bytes(content)


def test_the_numbers_add_up_to_ten_thousand() -> None:
    assert sum(SLOW.get(name, ROUNDS) for name in formats.FORMATS) + TOPIC_ROUNDS * (len(TOPIC_KINDS) - 1) + 60 >= 10_000

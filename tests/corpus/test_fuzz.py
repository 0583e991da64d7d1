"""10,000 damaged inputs over every reader: an answer or a clear error, and every page counted."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from tests.corpus import formats
from tests.corpus.test_topic_texts import KINDS as TOPIC_KINDS
from train.corpus.check import check_corpus
from train.corpus.naming import Naming
from train.corpus.topic_texts import TopicMapping, scan_texts
from train.errors import InputError

ROUNDS, TOPIC_ROUNDS = 850, 300
SLOW = {"dataset": 400, "parquet": 850}
JUNK = [b"\x00", b"\xff\xfe", b"\xc3", b'"', b"{", b"]", b"<", b"</p>", b"<span class='x-nc-sel4'>", b"&#x0;", b"\n", b"\r", b",", b"1e999", b"-1", b"NaN",
        b"9" * 400, b"null", b"\\ud800", "\u202e\U0001f600".encode(), b"../../etc/passwd", b"<div>" * 40, b"<!--", b"<![CDATA[", b"\x1f\x8b"]  # fmt: skip


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes with one to four faults of the kinds that files have."""
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        end = min(end, at + rng.choice((1, 3, 20, 200)))
        kind = rng.randrange(7)
        if kind == 0:
            content = content[:at]
        elif kind == 1:
            content = content[:at] + rng.choice(JUNK) + content[at:]
        elif kind == 2:
            content = content[:at] + content[end:]
        elif kind == 3:
            content = content[:end] + content[at:end] * rng.randint(1, 5) + content[end:]
        elif kind == 4:
            content = content[:at] + rng.choice(JUNK) + content[end:]
        elif kind == 5 and content:
            at = min(at, len(content) - 1)
            content = content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
        else:
            content = content[:at] + rng.randbytes(rng.randint(1, 12)) + content[at:]
    return content


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

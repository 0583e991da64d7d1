"""What is written from the schema is as the schema has it, and each key says what it means."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.config.fields import Key, keys_of
from train.config.reference import commented, documents
from train.config.schema import Config
from train.registry.gate import Gate


def every_key(section: type, prefix: str = "") -> Iterator[tuple[str, Key]]:
    """The keys of a section and of those below it, dotted."""
    for name, key in keys_of(section).items():
        yield prefix + name, key
        if key.section is not None:
            yield from every_key(key.section, f"{prefix}{name}.")


KEYS = [*every_key(Config), *every_key(Gate, "gate.")]
EXPECTED = {name: key.expected for name, key in KEYS}


def test_the_comments_and_the_reference_are_as_the_schema_has_them() -> None:
    stale = [
        path.relative_to(ROOT).as_posix()
        for path, text in documents(ROOT / "configs", Gate).items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert not stale, "run python -m train configs"


@pytest.mark.parametrize(("name", "key"), KEYS, ids=[name for name, _ in KEYS])
def test_every_key_says_what_it_means_in_sentences(name: str, key: Key) -> None:
    assert re.fullmatch(r"[A-Z0-9].*[.]", key.meaning)
    assert f"| `{key.name}` | {key.meaning} |" in (ROOT / "configs/README.md").read_text() or key.section is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("seed", "a whole number, 0 or more"),
        ("family", "one of baseline, encoder"),
        ("corpus.path", "a string, or null"),
        ("corpus.columns", "a mapping of names to names"),
        ("corpus.test_share", "a number, above 0 and below 0.5"),
        ("encoder.patience", "a whole number, 0 or more, or null"),
        ("encoder.int8", "true or false"),
        ("decoding.weights", "a list of numbers, 1 or more of them"),
        ("topics", "a section with path, mapping"),
    ],
)
def test_type_and_range_are_put_into_words(name: str, expected: str) -> None:
    assert EXPECTED[name] == expected


def test_no_line_of_a_shipped_config_is_too_long() -> None:
    for path in documents(ROOT / "configs", Gate):
        if path.suffix == ".yaml":
            assert [line for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 120] == []


def test_comments_change_no_value_and_no_line_of_their_own() -> None:
    text = (
        "# my pages\nseed: 13\n\n# ours\ncorpus: # old\n  columns: {content: text, 'a # b': site} # old\n"
        "  languages: [en,\n    de] # kept\n  unknown: 1 # kept\ntracking:\n  run_name: 'a # b'# no comment\n"
    )
    found = commented(Config, text)
    assert yaml.safe_load(found) == yaml.safe_load(text)
    assert commented(Config, found) == found
    lines = found.splitlines()
    assert (lines[0], lines[2], lines[3]) == ("# my pages", "", "# ours")
    assert lines[1] == "seed: 13                      # The seed of everything that the run draws, the split excepted"
    assert lines[4].startswith("corpus:                       # Where pages come from")
    assert lines[5].startswith("  columns: {content: text, 'a # b': site} # Their name -> ours")
    assert "  unknown: 1 # kept" in lines


def test_a_folder_without_configs_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no configs"):
        documents(tmp_path, Gate)

"""What the documents name is there: files, and targets of the Makefile."""

from __future__ import annotations

import re

import pytest

from tests.helpers.paths import ROOT

PATH = re.compile(r"(?<![\w/.-])(?:tests|train|configs|notebooks)/[\w./*-]*[\w*]")
NO_FILES = re.compile(
    r"train/(?:loss|learning_rate|validation_macro_f1|segments_per_second)|.*/(?:x|FAMILY)\.yaml"
    r"|configs/(?:ablations/(?:demo-encoder|hierarchical)|(?:demo|pages)-ensemble|pages-hierarchical)\.yaml"
)
"""Metrics are named `train/…` too, some paths stand for any, and the log speaks of configs that are gone."""
MAKE = re.compile(r"^ *(?:\w+=\S+ )*make +([a-z][a-z-]*)", re.MULTILINE)
FENCED, SPAN = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL), re.compile(r"`([^`]+)`")


def _targets_named(text: str) -> list[str]:
    """Targets of the `make` commands in a document's code."""
    return MAKE.findall("\n".join([*FENCED.findall(text), *SPAN.findall(FENCED.sub("", text))]))


def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def _newest_changes() -> str:
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]


def _log() -> str:
    return (ROOT / "configs/LOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [_readme, _log, _newest_changes], ids=["README", "log", "CHANGELOG"])
def test_every_path_that_a_document_names_exists(text: object) -> None:
    assert callable(text)
    named = set(PATH.findall(text()))
    assert named
    missing = sorted(path for path in named if not NO_FILES.fullmatch(path) and not list(ROOT.glob(path)))
    assert not missing


def test_every_target_that_the_readme_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(_targets_named(_readme()))
    assert {"demo", "test", "train"} <= named
    assert not sorted(named - targets)


def test_paths_and_targets_are_found_where_they_stand() -> None:
    assert PATH.findall("`tests/a/test_b.py`, (train/c/), configs/tune/*.yaml. ../tests/no and outputs/train/no") == [
        "tests/a/test_b.py",
        "train/c",
        "configs/tune/*.yaml",
    ]
    said = (
        "```bash\nmake demo # x\n  make show  # or make nothing\n```\nOne `make ui` and `HF_HUB_OFFLINE=0 make "
        "train\nCONFIG=x`;\nmake makes, `make` makes, they `make a` make none.\n"
    )
    assert _targets_named(said) == ["demo", "show", "ui", "train", "a"]

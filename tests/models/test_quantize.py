from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import shrunk
from train.config import Config
from train.corpus.page import Page
from train.export.golden import PAGES
from train.files import read_json
from train.models import quantize
from train.recipe import Outcome, fit
from train.runtime import Labeler
from train.runtime.encoder import Encoder

ConfigMaker = Callable[..., Config]
FAMILIES = [("demo-encoder", "encoder", "model"), ("pages-hierarchical", "hierarchical", "segments")]


@pytest.mark.parametrize(("name", "section", "network"), FAMILIES)
def test_int8_weights_that_gain_answer_and_float32_stays_at_hand(
    make_config: ConfigMaker, pages: list[Page], monkeypatch: pytest.MonkeyPatch, name: str, section: str, network: str
) -> None:
    monkeypatch.setattr(quantize, "LEAST_SPEED", 0.0)
    monkeypatch.setattr(quantize, "LEAST_AGREEMENT", 0.5)
    monkeypatch.setattr(quantize, "MOST_LOST", 1.0)
    outcome = fit(make_config(name, f"{section}.int8=true"))
    bundle = outcome.output / "bundle"
    manifest, found = read_json(bundle / "bundle.json"), read_json(bundle / "int8.json")
    assert manifest["int8"] is True
    assert f"{network}.int8.onnx" in manifest["files"]
    assert "int8.json" in manifest["documents"], "how fast it was names no version"
    assert "int8.json" not in manifest["files"]
    assert (found["kept"], 0 < found["agreement"] <= 1, found["pages"] > 5) == (True, True, True)
    small, exact = Labeler.load(bundle), Labeler.load(bundle, precision="float32")
    ours, theirs = (np.concatenate([s.local for s in labeler.score([page.texts for page in pages[:9]])]) for labeler in (small, exact))
    assert 0 < np.abs(ours - theirs).max() < 0.2
    among = list(small.label(PAGES.items()))
    alone = [next(small.label([page])) for page in PAGES.items()]
    assert alone == among, "an answer does not hang on the pages that are read beside it"


def _limit(monkeypatch: pytest.MonkeyPatch, limit: str, value: float) -> None:
    """Sets one limit, and the others so that they forbid nothing."""
    for name, easy in (("LEAST_SPEED", 0.0), ("LEAST_AGREEMENT", 0.0), ("MOST_LOST", 1.0)):
        monkeypatch.setattr(quantize, name, value if name == limit else easy)


@pytest.fixture(scope="module")
def without(corpus: Path, backbone: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A trained encoder whose int8 weights were too slow to be kept."""
    with pytest.MonkeyPatch.context() as patch:
        _limit(patch, "LEAST_SPEED", 1e6)
        return fit(shrunk("demo-encoder", corpus, backbone, tmp_path_factory.mktemp("slow"), "encoder.int8=true"))


def test_a_model_ships_without_int8_weights_that_do_not_gain(without: Outcome) -> None:
    bundle = without.output / "bundle"
    assert read_json(bundle / "bundle.json")["int8"] is False
    assert read_json(bundle / "int8.json")["kept"] is False
    assert not (bundle / "model.int8.onnx").exists()
    assert Labeler.load(bundle).version == without.version


@pytest.mark.parametrize(("limit", "value"), [("LEAST_SPEED", 1e6), ("MOST_LOST", -1.0), ("LEAST_AGREEMENT", 1.1), ("none", 0.0)])
def test_int8_weights_are_kept_unless_a_limit_forbids_it(
    without: Outcome,
    pages: list[Page],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit: str,
    value: float,
) -> None:
    _limit(monkeypatch, limit, value)
    kept = limit == "none"
    bundle = shutil.copytree(without.output / "bundle", tmp_path / "bundle")
    manifest = read_json(bundle / "bundle.json")

    def load(small: bool) -> Encoder:
        return Encoder.load(bundle, manifest, int8=small)

    assert quantize.keep_int8(bundle, "model.onnx", load, load(False), pages[:9]) is kept
    assert (bundle / "model.int8.onnx").exists() is kept
    assert read_json(bundle / "int8.json")["kept"] is kept
    assert f"int8 weights {'kept' if kept else 'not kept'}" in capsys.readouterr().err

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.configs import ConfigMaker
from train.common.files import read_json
from train.corpus.page import Page
from train.export.golden import PAGES
from train.models import quantize
from train.runtime import Labeler
from train.training.recipe import fit


def test_int8_weights_that_gain_answer_and_float32_stays_at_hand(
    make_config: ConfigMaker, pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantize, "LEAST_SPEED", 0.0)
    monkeypatch.setattr(quantize, "LEAST_AGREEMENT", 0.5)
    monkeypatch.setattr(quantize, "MOST_LOST", 1.0)
    outcome = fit(make_config("pages-encoder", "encoder.int8=true"))
    bundle = outcome.output / "bundle"
    manifest, found = read_json(bundle / "bundle.json"), read_json(bundle / "int8.json")
    assert manifest["int8"] is True
    assert "segments.int8.onnx" in manifest["files"]
    assert "int8.json" in manifest["documents"], "how fast it was names no version"
    assert "int8.json" not in manifest["files"]
    assert (found["kept"], 0 < found["agreement"] <= 1, found["pages"] > 5) == (True, True, True)
    small, exact = Labeler.load(bundle), Labeler.load(bundle, precision="float32")
    ours, theirs = (
        np.concatenate([s.local for s in labeler.score([page.texts for page in pages[:9]])])
        for labeler in (small, exact)
    )
    assert 0 < np.abs(ours - theirs).max() < 0.2
    among = list(small.label(PAGES.items()))
    alone = [next(small.label([page])) for page in PAGES.items()]
    assert alone == among, "an answer does not hang on the pages that are read beside it"


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "value"), [("LEAST_SPEED", 1e6), ("MOST_LOST", -1.0), ("LEAST_AGREEMENT", 1.1)])
def test_int8_weights_that_do_not_gain_are_left_out(
    make_config: ConfigMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    limit: str,
    value: float,
) -> None:
    for name, easy in (("LEAST_SPEED", 0.0), ("LEAST_AGREEMENT", 0.0), ("MOST_LOST", 1.0)):
        monkeypatch.setattr(quantize, name, value if name == limit else easy)
    outcome = fit(make_config("demo-encoder", "encoder.int8=true"))
    bundle: Path = outcome.output / "bundle"
    manifest = read_json(bundle / "bundle.json")
    assert manifest["int8"] is False
    assert not (bundle / "segments.int8.onnx").exists()
    assert read_json(bundle / "int8.json")["kept"] is False
    assert "int8 weights not kept" in capsys.readouterr().err
    assert Labeler.load(bundle).version == outcome.version

"""torch and ONNX on real pages (skipped where they are absent) and composed ones, with the shipped backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.paths import ROOT, SHARED
from train.config import load_config
from train.corpus.page import Page
from train.corpus.read import read_pages
from train.corpus.sources.composed import compose
from train.corpus.training import TrainingPages
from train.models.family import topics_of
from train.models.onnx import MAX_DIFFERENCE, MIN_AGREEMENT, compare
from train.models.quantize import quantized
from train.runtime.encoder import Encoder
from train.runtime.reading import clean

Pages = Callable[[], list[Page]]


def _real() -> list[Page]:
    files = sorted((SHARED / "data").glob("pages-*.jsonl.gz"))
    if not files:
        pytest.skip("no real pages at hand")
    return [page for file in files for page in read_pages(file)][::12]


def _composed() -> list[Page]:
    return list(compose(seed=5, pages=36))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoder, Path, dict[str, object]]:
    """The shipped backbone, two layers, after a short training; in torch and as a bundle's files."""
    from train.models.encoder import EncoderFamily

    folder = tmp_path_factory.mktemp("parity")
    overrides = ["encoder.layers=2", "encoder.epochs=1", "encoder.window_tokens=256"]
    config = load_config(ROOT / "configs/demo-encoder.yaml", overrides).encoder
    assert config is not None
    pages = list(compose(seed=13, pages=16))
    family = EncoderFamily(config, 13, folder / "work")
    family.fit(TrainingPages(pages), lambda metrics, step: None)
    assert family.topics == topics_of(pages)
    (folder / "bundle").mkdir()
    return family.reader(), folder / "bundle", family.write(folder / "bundle", pages[:4])


@pytest.mark.parametrize("pages", [_real, _composed], ids=["real", "composed"])
def test_float32_answers_as_torch(written: tuple[Encoder, Path, dict[str, object]], pages: Pages) -> None:
    reader, folder, manifest = written
    found = compare(reader, Encoder.load(folder, manifest), [page.texts for page in pages()])
    assert found["segments"] > 1000
    assert found["agreement"] >= MIN_AGREEMENT
    assert found["max_difference"] <= MAX_DIFFERENCE


@pytest.mark.parametrize("pages", [_real, _composed], ids=["real", "composed"])
def test_int8_is_near(written: tuple[Encoder, Path, dict[str, object]], pages: Pages) -> None:
    """How near is judged anew for each model when it is written (`train.models.quantize`); a barely trained one wavers more than those that ship."""
    reader, folder, manifest = written
    quantized(folder / "model.onnx")
    small = Encoder.load(folder, manifest, int8=True)
    texts = [[clean(text) for text in page.texts] for page in pages()]
    ours, theirs = (np.concatenate(engine.states(texts)[0]) for engine in (reader, small))
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.97
    assert np.abs(ours - theirs).mean() < 0.01

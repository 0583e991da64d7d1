"""torch and ONNX on real pages (skipped where they are absent) and composed ones, with the shipped backbone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.optional import need
from tests.helpers.paths import ROOT, SHARED
from train.config.schema import load_config
from train.corpus.composed.compose import compose
from train.corpus.page import Page
from train.corpus.read import read_pages
from train.corpus.training_data import TrainingPages
from train.models.encoder.networks import SegmentReader
from train.models.factory import family_of
from train.models.family import topics_of
from train.models.onnx_export import MAX_DIFFERENCE, MIN_AGREEMENT, compare
from train.models.quantize import quantized
from train.models.story_topics import TopicWeights
from train.runtime.encoder import Encoder
from train.runtime.scorer import Scorer
from train.runtime.text import clean

Pages = Callable[[], list[Page]]


def _real() -> list[Page]:
    need("shared")
    return [page for file in sorted((SHARED / "data").glob("pages-*.jsonl.gz")) for page in read_pages(file)][::12]


def _composed() -> list[Page]:
    return list(compose(seed=5, pages=24))


KINDS = [pytest.param(_real, marks=pytest.mark.slow, id="real"), pytest.param(_composed, id="composed")]
Written = tuple[Scorer, Callable[[bool], Scorer], Path]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The shipped backbone, two layers, after a short training: in torch; a function that loads it from the bundle's
    files, with int8 weights or not; the network's file."""
    folder, pages = tmp_path_factory.mktemp("parity"), list(compose(seed=13, pages=16))
    overrides = [
        "encoder.pretrained=null",
        "encoder.layers=2",
        "encoder.page_layers=1",
        "encoder.fine_tune_epochs=1",
        "encoder.epochs=3",
    ]
    family = family_of(
        load_config(ROOT / "configs/pages-encoder.yaml", [f"corpus.path={folder}", *overrides]), folder / "work"
    )
    family.fit(TrainingPages(pages), lambda metrics, step: None)
    assert tuple(family.scorer().topics) == topics_of(pages)
    (folder / "bundle").mkdir()
    manifest = family.write(folder / "bundle", pages[:4])
    return (
        family.scorer(),
        lambda small: Encoder.load(folder / "bundle", manifest, int8=small),
        folder / "bundle/segments.onnx",
    )


@pytest.mark.parametrize("pages", KINDS)
def test_float32_answers_as_torch(written: Written, pages: Pages) -> None:
    reader, load, _ = written
    found = compare(reader, load(False), [page.texts for page in pages()])
    assert found["segments"] > 1000
    assert found["agreement"] >= MIN_AGREEMENT
    assert found["max_difference"] <= MAX_DIFFERENCE


@pytest.mark.parametrize("pages", KINDS)
def test_int8_is_near(written: Written, pages: Pages) -> None:
    """How near is judged anew for each model when it is written (`train.models.quantize`); a barely trained one wavers
    more than those that ship."""
    reader, load, file = written
    quantized(file)
    texts = [[clean(text) for text in page.texts] for page in pages()]
    ours, theirs = (np.concatenate(engine.score_segments(texts)[0]) for engine in (reader, load(True)))
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.97
    assert 0 < np.abs(ours - theirs).mean() < 0.01


@pytest.mark.parametrize("architecture", ["bert", "deberta-v2", "modernbert"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 130)], ids=str)
def test_texts_of_any_number_and_length_are_read_alike(
    exported: Callable[[str], tuple[Any, Any]], architecture: str, shape: tuple[int, int]
) -> None:
    """An exporter that traces takes what it saw for fixed, unless told which dimensions vary."""
    import torch

    network, session = exported(architecture)
    ids = torch.arange(5, 5 + shape[0] * shape[1]).reshape(shape) % 190 + 5
    mask = torch.ones_like(ids)
    mask[-1, shape[1] // 2 + 1 :] = 0
    with torch.inference_mode():
        expected = network(ids, mask).numpy()
    (found,) = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
    assert np.allclose(found, expected, atol=1e-5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Any, Any]]:
    """Segment vectors of a tiny random backbone, in torch and in ONNX Runtime; each architecture once."""
    import onnxruntime
    import torch
    from transformers import AutoConfig, AutoModel

    from train.models.onnx_export import export_segments

    @cache
    def of(architecture: str) -> tuple[Any, Any]:
        torch.manual_seed(0)
        sizes = {
            "vocab_size": 200,
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "max_position_embeddings": 140,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "cls_token_id": 2,
            "sep_token_id": 3,
        }
        rng = np.random.default_rng(0)
        topics = TopicWeights(*(rng.normal(size=shape).astype(np.float32) for shape in ((3, 16), (200, 3), (3,))))
        network = SegmentReader(AutoModel.from_config(AutoConfig.for_model(architecture, **sizes)), topics).eval()
        path = tmp_path_factory.mktemp(architecture) / "segments.onnx"
        export_segments(network, path)
        return network, onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    return of

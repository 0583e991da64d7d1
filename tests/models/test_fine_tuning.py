"""Pretrained layers learn: which, how fast, from where, and the same whether a training was killed or shared."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from tests.helpers.configs import ConfigMaker
from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.models.encoder.family import EncoderFamily
from train.models.encoder.fine_tuning import DECAY, FineTuning
from train.models.encoder.networks import BLOCK, PageNetwork
from train.models.encoder.training_examples import TrainingExample, batches
from train.models.factory import family_of
from train.runtime.encoder import COUNTED_NAMES

CPU = torch.device("cpu")


@pytest.fixture
def family(make_config: ConfigMaker, tmp_path: Path) -> EncoderFamily:
    """A family whose backbone is loaded, and nothing learnt; without dropout."""
    return _family(make_config, tmp_path)


def _family(make_config: ConfigMaker, folder: Path, *overrides: str) -> EncoderFamily:
    given = ["encoder.dropout=0.0", "encoder.fine_tune_epochs=3", "encoder.device=cpu", *overrides]
    found = family_of(make_config("pages-encoder", *given), folder / "work")
    assert isinstance(found, EncoderFamily)
    found.load_backbone()
    return found


def _learning(
    family: EncoderFamily, pages: list[Page], *, seed: int = 1, **settings: Any
) -> tuple[FineTuning, list[TrainingExample]]:
    family.config = replace(family.config, **settings)
    family._embed(pages)
    examples = [family._example(page) for page in pages]
    network = family._network(examples)
    network.asks_upper = network.upper is not None
    reader, plan = family.segment_reader, family.plan
    return FineTuning(family.config, network, reader, family.tokenizer, plan, CPU, examples, seed), examples


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def _changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    return {name for name, value in module.named_parameters() if not torch.equal(before[name], value)}


@pytest.mark.parametrize("fine_tune", ["page", "top", "all"])
def test_what_learns_is_what_the_config_says(
    make_config: ConfigMaker, tmp_path: Path, pages: list[Page], fine_tune: str
) -> None:
    family = _family(make_config, tmp_path, "encoder.layers=null", "encoder.page_layers=0")  # two layers read segments
    tuning, _ = _learning(family, pages[:6], fine_tune=fine_tune)
    before, network = _weights(family.segment_reader), _weights(tuning.network)
    list(tuning.train(tmp_path / "checkpoint"))
    layers = {name.split("layer.")[1][0] for name in _changed(before, family.segment_reader) if "layer." in name}
    assert layers == {"page": set(), "top": {"1"}, "all": {"0", "1"}}[fine_tune]
    assert not [name for name in _changed(before, family.segment_reader) if "embeddings" in name]
    assert _changed(network, tuning.network) == network.keys()


def test_layers_that_read_the_page_learn_from_the_first(
    family: EncoderFamily, tmp_path: Path, pages: list[Page]
) -> None:
    tuning, _ = _learning(family, pages[:6])
    before = _weights(tuning.network)
    list(tuning.train(tmp_path / "checkpoint"))
    assert len([name for name in _changed(before, tuning.network) if name.startswith("upper.encoder.layer.0.")]) > 10
    assert not tuning.network.training


def test_rates_fall_layer_by_layer_towards_the_tokens(
    make_config: ConfigMaker, tmp_path: Path, pages: list[Page]
) -> None:
    family = _family(make_config, tmp_path, "encoder.layers=null", "encoder.page_layers=0")
    settings = {
        "fine_tune": "all",
        "fine_tune_rate": 0.004,
        "fine_tune_page_rate": 0.01,
        "warmup": 0.3,
        "batch_chunks": 1,
    }
    tuning, _ = _learning(family, pages[:6], **settings)
    seen: list[list[float]] = []
    handle = register_optimizer_step_pre_hook(
        lambda optimizer, *_: seen.append([group["lr"] for group in optimizer.param_groups])
    )
    list(tuning.train(tmp_path / "checkpoint"))
    handle.remove()
    rates = np.array(seen)
    assert len(rates) > 10
    assert rates.max(axis=0) == pytest.approx([0.01, 0.004, 0.004 * DECAY], rel=0.05)
    assert rates.argmax() // rates.shape[1] == pytest.approx(0.3 * len(rates), abs=1.5)
    assert (rates[-1] < rates.max(axis=0) / 20).all()


@pytest.mark.parametrize("fine_tune", ["page", "top"])
def test_a_killed_training_ends_as_one_that_was_not(
    make_config: ConfigMaker, tmp_path: Path, pages: list[Page], fine_tune: str
) -> None:

    def again(name: str) -> FineTuning:
        family = _family(make_config, tmp_path / name)
        return _learning(family, pages[:6], fine_tune=fine_tune, dropout=0.3, seed=7)[0]

    learnt = []
    for name, killed in (("whole", False), ("killed", True)):
        # Dropout draws: what is drawn after a kill must be what would have been drawn.
        tuning = again(name)
        checkpoint = tmp_path / name / "checkpoint.safetensors"
        if killed:
            assert next(islice(tuning.train(checkpoint), 1, None))[0] == 2
            tuning = again(name)
            assert [epoch for epoch, _ in tuning.train(checkpoint)] == [3]
        else:
            assert [epoch for epoch, _ in tuning.train(checkpoint)] == [1, 2, 3]
        learnt.append({**_weights(tuning.network), **{f"reader.{k}": v for k, v in _weights(tuning.reader).items()}})
    assert all(torch.allclose(value, learnt[1][name], atol=1e-6) for name, value in learnt[0].items())
    assert not list(again("killed").train(checkpoint)), "and is not done again"


def test_segments_are_read_with_gradients_as_without(family: EncoderFamily, pages: list[Page]) -> None:
    tuning, examples = _learning(family, pages[:3], fine_tune="top")
    chunks = [examples[0], examples[1].chunk(0, 4)]
    vectors = tuning._vectors(chunks)
    assert vectors.requires_grad
    for row, chunk in enumerate(chunks):
        n = len(chunk.tags)
        assert np.allclose(vectors[row, :n].detach().numpy(), chunk.vectors, atol=2e-2), "the store has half precision"
        assert not vectors[row, n:].any()


def test_layers_above_start_from_nothing(family: EncoderFamily, pages: list[Page]) -> None:
    tuning, examples = _learning(family, pages[:2])
    network = tuning.network.eval()
    given = [torch.from_numpy(array[None]) for array in (examples[0].vectors, examples[0].numbers)]
    asked = network(*given)
    network.asks_upper = False
    assert torch.equal(network(*given), asked)


def _told(family: EncoderFamily, pages: list[Page]) -> PageNetwork:
    """A network whose upper layers have something to say."""
    tuning, _ = _learning(family, pages[:2])
    nn.init.normal_(tuning.network.hidden_of_upper.weight)
    nn.init.normal_(tuning.network.numbers_for_upper.weight)
    return tuning.network.eval()


def test_long_pages_are_read_block_by_block(family: EncoderFamily, pages: list[Page]) -> None:
    network = _told(family, pages)
    torch.manual_seed(0)
    vectors = torch.randn(1, BLOCK + 30, family.segment_reader.width)
    with torch.inference_mode():
        whole = network._read_above(vectors, None)
        first, rest = network._read_above(vectors[:, :BLOCK], None), network._read_above(vectors[:, BLOCK:], None)
    assert torch.allclose(whole, torch.cat([first, rest], dim=1), atol=1e-5)


def test_padding_changes_no_answer(family: EncoderFamily, pages: list[Page]) -> None:
    network = _told(family, pages)
    torch.manual_seed(0)
    vectors = torch.randn(2, 9, family.segment_reader.width)
    present = torch.ones(2, 9, 1)
    present[1, 6:] = 0
    with torch.inference_mode():
        padded = network._read_above(vectors, present)[1, :6]
        alone = network._read_above(vectors[1:, :6], None)[0]
    assert torch.allclose(padded, alone, atol=1e-5)


def test_exported_networks_read_short_and_long_pages_as_torch_does(
    family: EncoderFamily, pages: list[Page], tmp_path: Path
) -> None:
    import onnxruntime

    from train.models.onnx_export import export_page

    network = _told(family, pages)
    export_page(network, tmp_path / "page.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "page.onnx", providers=["CPUExecutionProvider"])
    torch.manual_seed(0)
    for n in (1, 9, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 3):
        vectors, numbers = torch.randn(1, n, family.segment_reader.width), torch.randn(1, n, len(COUNTED_NAMES))
        with torch.inference_mode():
            expected = network(vectors, numbers).softmax(dim=-1).numpy()
        found = session.run(None, {"vectors": vectors.numpy(), "numbers": numbers.numpy()})[0]
        assert np.allclose(found, expected, atol=1e-4)


def test_a_family_whose_segment_layers_learn_tells_topics_and_roles(
    make_config: ConfigMaker, tmp_path: Path, pages: list[Page]
) -> None:
    """What is exported is what was scored, with vectors and topics of the layers as they ended."""
    overrides = ["encoder.fine_tune=top", "encoder.fine_tune_rate=0.001"]
    family = family_of(make_config("pages-encoder", *overrides), tmp_path / "work")
    assert isinstance(family, EncoderFamily)
    family.fit(TrainingPages(pages[:30]), lambda metrics, step: None)
    texts = [[s.text for s in page.segments] for page in pages[30:34]]
    stored = family.scorer().score_segments(texts)
    folder = tmp_path / "bundle"
    folder.mkdir()
    manifest = family.write(folder, pages[30:34])
    assert manifest["parity"]["agreement"] == 1
    from train.runtime.encoder import Encoder

    exported = Encoder.load(folder, manifest).score_segments(texts)
    for ours, theirs in zip(stored, exported, strict=True):
        assert ours is not None
        assert theirs is not None
        assert np.allclose(np.concatenate(ours), np.concatenate(theirs), atol=2e-2)


def test_chunks_of_an_epoch_hold_each_segment_once() -> None:
    examples = [TrainingExample(*(np.arange(n) + 1000 * n for _ in range(5))) for n in (1, 5, BLOCK, 2 * BLOCK + 1)]
    drawn = batches(examples, random.Random(3), segments=BLOCK, chunks=2)
    assert all(len(batch) <= 2 and all(len(chunk.tags) <= BLOCK for chunk in batch) for batch in drawn)
    assert sorted(x for batch in drawn for chunk in batch for x in chunk.tags.tolist()) == sorted(
        x for example in examples for x in example.tags.tolist()
    )


def test_architectures_without_one_stack_of_layers_are_refused(
    backbone: Path, tmp_path: Path, make_config: ConfigMaker
) -> None:
    from transformers import AlbertConfig, AlbertModel, AutoTokenizer

    from train.common.errors import InputError

    AutoTokenizer.from_pretrained(backbone).save_pretrained(tmp_path / "albert")
    sizes = {
        "vocab_size": 2000,
        "embedding_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    AlbertModel(AlbertConfig(**sizes)).save_pretrained(tmp_path / "albert")
    family = _family(make_config, tmp_path, f"encoder.backbone={tmp_path / 'albert'}")
    with pytest.raises(InputError, match=r"cannot read a page[\s\S]*encoder\.page_layers to 0"):
        family._network([TrainingExample(*(np.zeros((2, 16), np.float32) for _ in range(5)))])
    alone = _family(
        make_config, tmp_path, f"encoder.backbone={tmp_path / 'albert'}", "encoder.page_layers=0", "encoder.layers=2"
    )
    network = PageNetwork(16, width=4, depth=1, dropout=0.0)
    with pytest.raises(InputError, match=r"cannot learn one by one[\s\S]*encoder\.fine_tune to page"):
        FineTuning(
            replace(alone.config, fine_tune="top"),
            network,
            alone.segment_reader,
            alone.tokenizer,
            alone.plan,
            CPU,
            [],
            1,
        )


def test_a_text_that_spells_out_the_tokens_around_texts_tells_no_topic_by_them(
    make_config: ConfigMaker, tmp_path: Path, pages: list[Page]
) -> None:
    family = _family(make_config, tmp_path)
    around = [family.plan.opening, family.plan.closing, family.plan.pad]
    spelt = " ".join(family.tokenizer.id_to_token(i) for i in around)
    assert family.plan.ids([spelt], family.tokenizer)[0][1:-1] == around, "spelt out, they are what they spell"
    odd = [
        page.with_segments([replace(s, text=f"{spelt} {s.text}") if s.topic == "sport" else s for s in page.segments])
        for page in pages[:30]
    ]
    family.fit(TrainingPages(odd), lambda metrics, step: None)
    weights = family.topic_weights
    assert weights is not None
    assert weights.over_tokens.any()
    assert not weights.over_tokens[around].any()

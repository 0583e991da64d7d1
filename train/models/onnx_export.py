"""The network as ONNX, written only when it answers as torch does."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from train.corpus.page import Page
from train.models.encoder.networks import BLOCK, PageNetwork, PageProbabilities, SegmentReader
from train.models.quantize import keep_int8
from train.runtime.encoder import COUNTED_NAMES, Encoder
from train.runtime.scorer import Scorer
from train.runtime.text import clean

PARITY_PAGES = 40
MAX_DIFFERENCE = 1e-3
MIN_AGREEMENT = 0.999
TEXTS = {0: "texts", 1: "length"}
"""Dimensions that vary where tokens are read."""


class ParityError(RuntimeError):
    """The exported model does not answer as the trained one."""


def export_encoder(
    segments: SegmentReader,
    page: PageNetwork,
    scorer: Encoder,
    folder: Path,
    manifest: dict[str, Any],
    sample: Sequence[Page],
    *,
    int8: bool = False,
) -> None:
    """Writes `segments.onnx` and `page.onnx` into `folder`, which holds the tokenizer already; adds the measured
    `parity`, and whether `int8`, to the manifest.

    Args:
        segments: The network that embeds segments, on the CPU.
        page: The network that reads a page, on the CPU.
        scorer: Both, as the runtime runs them.
        folder: The bundle's folder.
        manifest: The bundle's manifest so far.
        sample: Labelled pages to compare on.
        int8: Try int8 weights too, and keep them when they gain.

    Raises:
        ParityError: Probabilities differ by more than 1e-3, or fewer than 99.9 % of the labels agree; the numbers are
            in it.
    """
    export_segments(segments, folder / "segments.onnx")
    export_page(page, folder / "page.onnx")
    manifest["parity"] = compare(scorer, Encoder.load(folder, manifest), [page.texts for page in sample[:PARITY_PAGES]])
    if int8 and sample:
        manifest["int8"] = keep_int8(
            folder, "segments.onnx", lambda small: Encoder.load(folder, manifest, int8=small), scorer, sample
        )


def export_page(page: PageNetwork, path: Path) -> None:
    """Writes the network that reads a page, for `[1, segments, …]` vectors and numbers of any number of segments.

    Args:
        page: The trained page network, on the CPU.
        path: The file to write.
    """
    n = 2 * BLOCK + 5  # more than a block, so that what cuts a page into blocks is exported
    example = (torch.zeros(1, n, len(page.mean)), torch.zeros(1, n, len(COUNTED_NAMES)))
    of_page = {1: "segments"}
    _export(
        PageProbabilities(page).eval(),
        example,
        path,
        dict.fromkeys(("vectors", "numbers"), of_page),
        {"states": of_page},
    )


def export_segments(segments: SegmentReader, path: Path) -> None:
    """Writes the network that reads segments, for `[texts, length]` token ids and mask of any size.

    Args:
        segments: The trained network, on the CPU.
        path: The file to write.
    """
    # Two tensors: one given twice is exported as one input.
    ids, mask = torch.ones(2, 16, dtype=torch.int64), torch.ones(2, 16, dtype=torch.int64)
    _export(segments, (ids, mask), path, {"input_ids": TEXTS, "attention_mask": TEXTS}, {"vectors": {0: "texts"}})


def _export(
    module: nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    inputs: Mapping[str, Mapping[int, str]],
    outputs: Mapping[str, Mapping[int, str]],
) -> None:
    """Traces a module into an ONNX file; `inputs` and `outputs` name its tensors and which of their dimensions vary.

    By torch's older exporter (TorchScript): the newer one (`dynamo=True`, torch 2.13) takes several times as long, its
    graph is a little slower in ONNX Runtime (log of 2026-11-30), and it takes an LSTM's length for fixed from a
    process' second export on.
    """
    with _quietly():
        torch.onnx.export(
            module,
            example,
            path,
            dynamo=False,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in {**inputs, **outputs}.items()},
            opset_version=18,
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Exporters warn of their own deprecations, which nobody here can act on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def compare(ours: Scorer, exported: Scorer, sample: Sequence[list[str]]) -> dict[str, float]:
    """Compares two engines on the same pages.

    Args:
        ours: The trained network in torch.
        exported: The exported network in ONNX Runtime.
        sample: Raw segment texts, page by page.

    Returns:
        `segments`, `max_difference` of state probabilities and `agreement`, the share of equal labels.

    Raises:
        ParityError: They differ by more than `export_encoder` allows.
    """
    pages = [[clean(text) for text in page] for page in sample]
    a, b = (np.concatenate(engine.score_segments(pages)[0]) for engine in (ours, exported))
    difference = float(np.abs(a - b).max(initial=0.0))
    agreement = float((a.argmax(axis=1) == b.argmax(axis=1)).mean()) if len(a) else 1.0
    if difference > MAX_DIFFERENCE or agreement < MIN_AGREEMENT:
        raise ParityError(
            f"ONNX differs from torch by up to {difference:.2g} in probability and agrees on {agreement:.2%} of "
            f"{len(a)} labels; "
            f"expected at most {MAX_DIFFERENCE:g} and at least {MIN_AGREEMENT:.1%}. Not exported: report this with "
            "the versions of torch and onnxruntime."
        )
    return {"segments": len(a), "max_difference": difference, "agreement": agreement}

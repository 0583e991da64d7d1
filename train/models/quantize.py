"""int8 weights, kept only when they gain: on this processor in speed, and on validation pages without a loss that
matters."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from train.common.console import console
from train.common.files import write_json
from train.corpus.page import Page
from train.models.selection import tags_macro_f1
from train.runtime.onnx import INT8
from train.runtime.scorer import Scorer
from train.runtime.text import clean

MOST_LOST, LEAST_AGREEMENT, LEAST_SPEED = 0.003, 0.99, 1.1
JUDGED_PAGES, TIMED_PAGES, ROUNDS = 60, 8, 3
REPORT = "int8.json"


@dataclass(frozen=True)
class Int8:
    """What int8 weights bring.

    Args:
        kept: Whether the bundle answers with them.
        pages: Number of validation pages judged.
        macro_f1_change: Role macro-F1 with them, less that of the trained network.
        agreement: Share of segments with the same likeliest state.
        speed: How many times as fast as float32 in the same engine; the median of rounds by turns.
    """

    kept: bool
    pages: int
    macro_f1_change: float
    agreement: float
    speed: float


def quantized(path: Path) -> Path:
    """Writes an ONNX model's int8 twin beside it: weights by channel, activations as they come.

    Weights have seven bits (`reduce_range`): sums of eight-bit products saturate on processors without VNNI, and a
    bundle may be served on any.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_name(path.stem + INT8)
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises a preprocessing that changes nothing here
    try:
        quantize_dynamic(path, target, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8)
    finally:
        logger.setLevel(level)
    return target


def keep_int8(folder: Path, network: str, load: Callable[[bool], Scorer], exact: Scorer, pages: Sequence[Page]) -> bool:
    """Quantizes a bundle's network, judges it, and removes it again when it does not gain; `int8.json` says what was
    found.

    Args:
        folder: The bundle's folder, with the float32 network in it.
        network: The network's file name.
        load: Loads the bundle's reader, with int8 weights or without.
        exact: The trained network.
        pages: Labelled validation pages.
    """
    target = quantized(folder / network)
    verdict = judge(exact, load(False), load(True), pages)
    write_json(folder / REPORT, asdict(verdict))
    if not verdict.kept:
        target.unlink()
    console.print(
        f"int8 weights {'kept' if verdict.kept else 'not kept'}: {verdict.speed:.2f} times as fast, "
        f"{100 * verdict.macro_f1_change:+.2f} points of role macro-F1, {verdict.agreement:.2%} of the labels agree "
        f"(wanted: {LEAST_SPEED:g} times, {-100 * MOST_LOST:+.1f} points, {LEAST_AGREEMENT:.0%})"
    )
    return verdict.kept


def judge(exact: Scorer, plain: Scorer, small: Scorer, pages: Sequence[Page]) -> Int8:
    """Compares int8 weights with the trained network in predictions, and with float32 in the same engine in speed.

    Args:
        exact: The trained network.
        plain: The exported float32 network.
        small: The same with int8 weights.
        pages: Labelled validation pages; the first `JUDGED_PAGES` are used.
    """
    judged = pages[:JUDGED_PAGES]
    texts = [[clean(text) for text in page.texts] for page in judged]
    states = {name: scorer.score_segments(texts)[0] for name, scorer in (("exact", exact), ("int8", small))}
    change = tags_macro_f1(states["int8"], judged) - tags_macro_f1(states["exact"], judged)
    ours, theirs = (np.concatenate(states[name]).argmax(axis=1) for name in ("exact", "int8"))
    agreement = float((ours == theirs).mean()) if len(ours) else 1.0
    speed = _speed({"plain": plain, "int8": small}, texts[:TIMED_PAGES])
    kept = change >= -MOST_LOST and agreement >= LEAST_AGREEMENT and speed >= LEAST_SPEED
    return Int8(kept, len(judged), float(change), agreement, speed)


def _speed(readers: Mapping[str, Scorer], pages: Sequence[Sequence[str]]) -> float:
    ratios = []
    for _ in range(ROUNDS):
        seconds = {}
        for name, scorer in readers.items():
            started = time.perf_counter()
            scorer.score_segments(pages)
            seconds[name] = time.perf_counter() - started
        ratios.append(seconds["plain"] / seconds["int8"])
    return float(np.median(ratios))

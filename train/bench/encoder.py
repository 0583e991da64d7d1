"""The encoder's engines when it labels: how fast each is, and how near their answers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from train.bench.compare import Row, compare, split_pages
from train.common.environment import machine
from train.config.schema import load_config
from train.models.backbone import load_backbone
from train.models.encoder.networks import SegmentReader
from train.models.quantize import quantized
from train.models.selection import role_macro_f1
from train.models.story_topics import TopicWeights
from train.runtime.encoder import PAGE_FILE, SEGMENT_FILES, Encoder
from train.runtime.manifest import read_manifest
from train.runtime.text import clean


def int8_engine(bundle: Path, manifest: dict[str, Any], threads: int) -> Encoder:
    """A bundle's encoder with int8 weights, which are made here: a bundle has them only where they gained."""
    with TemporaryDirectory() as folder:
        for name in (*SEGMENT_FILES, PAGE_FILE):
            shutil.copyfile(bundle / name, Path(folder) / name)
        quantized(Path(folder) / SEGMENT_FILES[0])
        return Encoder.load(Path(folder), manifest, threads=threads, int8=True)


def torch_engine(model: Path, kind: torch.dtype, threads: int) -> Encoder:
    """A run's encoder whose segments are read by torch, which is nearly all of the work; pages are read by the bundle's
    own network.

    Args:
        model: A run's output folder.
        kind: Of the backbone's weights.
        threads: Of both.
    """
    torch.set_num_threads(threads)
    bundle, config = model / "bundle", load_config(model / "config.yaml").encoder
    assert config is not None
    manifest = read_manifest(bundle)
    _, backbone = load_backbone(config.backbone, revision=config.revision, layers=config.layers)
    # What topics weigh is not kept outside the bundle, and does not change the time.
    shapes = (
        (len(manifest["topics"]), backbone.config.hidden_size),
        (backbone.config.vocab_size, len(manifest["topics"])),
        len(manifest["topics"]),
    )
    segments = SegmentReader(backbone, TopicWeights(*(np.zeros(shape, np.float32) for shape in shapes))).eval().to(kind)

    def embed(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(segments(torch.from_numpy(ids), torch.from_numpy(mask)).float().numpy())

    return replace(Encoder.load(bundle, manifest, threads=threads), embed=embed)


def labelling(corpus: Path, model: Path, rounds: int, threads: int) -> list[Row]:
    """torch and ONNX Runtime, float32, bfloat16 and int8, a page at a time and 16 pages at once.

    Args:
        corpus: Composed pages; test pages of their split are labelled.
        model: A run's output folder of the encoder (`make demo` leaves one).
        rounds: That count.
        threads: For each engine.
    """
    bundle = model / "bundle"
    manifest = read_manifest(bundle)
    engines = {
        "torch float32": torch_engine(model, torch.float32, threads),
        "ONNX Runtime float32": Encoder.load(bundle, manifest, threads=threads),
        "ONNX Runtime int8 (dynamic, per channel)": int8_engine(bundle, manifest, threads),
    }
    if "bf16" in str(machine()["flags"]):  # elsewhere it is emulated, many times slower than float32
        engines["torch bfloat16"] = torch_engine(model, torch.bfloat16, threads)
    test = split_pages(corpus)["test"]
    scored = test[:: max(1, len(test) // 40)]
    base = role_macro_f1(engines["torch float32"], scored)
    changes = {
        name: f"{100 * (role_macro_f1(engine, scored) - base):+.2f} points of role macro-F1"
        for name, engine in engines.items()
    }
    rows = []
    pages = [[clean(text) for text in page.texts] for page in test[:16]]
    segments = sum(map(len, pages))
    together = {name: _reading(engine, [pages]) for name, engine in engines.items()}
    rows += compare(
        f"labelling 16 pages at once, {threads} threads", together, segments, "segments/s", rounds=rounds, notes=changes
    )
    alone = {name: _reading(engine, [[page] for page in pages[:6]]) for name, engine in engines.items()}
    latencies = {name: _latency(engine, pages) for name, engine in engines.items()}
    few = sum(map(len, pages[:6]))
    rows += compare(
        f"labelling a page at a time, {threads} threads", alone, few, "segments/s", rounds=rounds, notes=latencies
    )
    return rows


def _reading(engine: Encoder, batches: Sequence[Sequence[Sequence[str]]]) -> Callable[[], object]:
    return lambda: [engine.states(batch) for batch in batches]


def _latency(engine: Encoder, pages: Sequence[Sequence[str]]) -> str:
    """Median and 99th percentile over pages of about 40 segments."""
    seconds = []
    for page in pages:
        page = page[:40]
        started = time.perf_counter()
        engine.states([page])
        seconds.append(time.perf_counter() - started)
    p50, p99 = np.percentile(seconds, [50, 99])
    return f"40 segments: p50 {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms"

"""The packed encoder: its engines when it labels, its step when it trains, and how near both come to what the processor can do."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from train.bench.compare import Row, compare, machine, split_pages
from train.bench.contenders import PAIRS, optimise, packed_network, pairs, usual_network
from train.bench.memory import engine_memory
from train.config import EncoderConfig, load_config
from train.corpus.page import Page
from train.models.encoder import Collator, labelled_windows
from train.models.family import role_macro_f1
from train.models.network import PageEncoder
from train.models.quantize import quantized
from train.runtime.encoder import FILES, OUTPUTS, Encoder
from train.runtime.labeler import read_manifest
from train.runtime.reading import clean

MATRIX = 2048
BFLOAT16 = "packed, bfloat16 autocast"


def int8_engine(bundle: Path, manifest: dict[str, Any], threads: int) -> Encoder:
    """A bundle's encoder with int8 weights, which are made here: a bundle has them only where they gained."""
    with TemporaryDirectory() as folder:
        for name in FILES:
            shutil.copyfile(bundle / name, Path(folder) / name)
        quantized(Path(folder) / FILES[0])
        return Encoder.load(Path(folder), manifest, threads=threads, int8=True)


def labelling(corpus: Path, model: Path, rounds: int, threads: int) -> list[Row]:
    """torch and ONNX Runtime, float32, bfloat16 and int8, a page at a time and 16 pages at once.

    Args:
        corpus: Composed pages; test pages of their split are labelled.
        model: A run's output folder of the packed encoder (`make demo` leaves one).
        rounds: That count.
        threads: For each engine.
    """
    bundle, weights = model / "bundle", model / "weights"
    torch.set_num_threads(threads)
    manifest = read_manifest(bundle)
    onnx = Encoder.load(bundle, manifest, threads=threads)
    network = PageEncoder.from_pretrained(weights).eval()
    small = int8_engine(bundle, manifest, threads)

    def with_forward(forward: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]) -> Encoder:
        return Encoder(forward, onnx.tokenizer, onnx.plan, onnx.topics)

    engines = {
        "torch float32": with_forward(torch_forward(network, torch.float32)),
        "ONNX Runtime float32": onnx,
        "ONNX Runtime int8 (dynamic, per channel)": small,
    }
    if "bf16" in str(machine()["flags"]):  # elsewhere it is emulated, many times slower than float32
        halved = PageEncoder.from_pretrained(weights).eval().to(torch.bfloat16)
        engines["torch bfloat16"] = with_forward(torch_forward(halved, torch.bfloat16))
    test = split_pages(corpus)["test"]
    scored = test[:: max(1, len(test) // 40)]
    base = role_macro_f1(engines["torch float32"], scored)
    changes = {name: f"{100 * (role_macro_f1(engine, scored) - base):+.2f} points of role macro-F1" for name, engine in engines.items()}
    rows = []
    pages = [[clean(text) for text in page.texts] for page in test[:16]]
    segments = sum(map(len, pages))
    together = {name: _reading(engine, [pages]) for name, engine in engines.items()}
    rows += compare(f"labelling 16 pages at once, {threads} threads", together, segments, "segments/s", rounds=rounds, notes=changes)
    alone = {name: _reading(engine, [[page] for page in pages[:6]]) for name, engine in engines.items()}
    latencies = {name: _latency(engine, pages) for name, engine in engines.items()}
    few = sum(map(len, pages[:6]))
    rows += compare(f"labelling a page at a time, {threads} threads", alone, few, "segments/s", rounds=rounds, notes=latencies)
    return rows + (engine_memory(corpus, model, threads) if threads == 1 else [])


def torch_forward(network: PageEncoder, kind: torch.dtype) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """The network as the runtime's engine, in torch."""

    def forward(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        tensors = {name: torch.from_numpy(value) for name, value in batch.items()}
        tensors = {name: value.to(kind) if value.is_floating_point() else value for name, value in tensors.items()}
        with torch.inference_mode():
            answer = network(**tensors)
        return {name: answer[name].float().numpy() for name in OUTPUTS if name in answer}

    return forward


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


def training(corpus: Path, rounds: int, threads: int) -> list[Row]:
    """Steps of the packed encoder beside the usual way, and their share of the matrix peak."""
    torch.set_num_threads(threads)
    config = load_config(Path("configs/demo-encoder.yaml")).encoder
    assert config is not None
    pages = split_pages(corpus)["train"][:3]
    kinds = [torch.float32, *([torch.bfloat16] if "bf16" in str(machine()["flags"]) else [])]
    peak = {kind: _matrix_peak(kind) for kind in kinds}
    contenders: dict[str, Callable[[], object]] = {}
    usual, segments = _usual_steps(config, pages)
    packed, flops, padding = _packed_steps(config, pages)
    contenders["one sequence a segment with neighbours, padded to 128 (Trainer's defaults)"] = usual
    contenders["packed (as shipped)"] = packed
    variants: dict[str, dict[str, Any]] = {
        "packed, dropout 0.1": {"dropout": 0.1},
        "packed, word embeddings trained": {"freeze_embeddings": False},
        "packed, 448-token windows without overlap": {"overlap": 0.0},
    }
    if torch.bfloat16 in kinds:
        variants[BFLOAT16] = {"bf16": True}
    for name, changes in variants.items():
        contenders[name] = _packed_steps(replace(config, **changes), pages)[0]
    rows = compare(
        f"training, {threads} threads",
        contenders,
        segments,
        "segments/s",
        rounds=rounds,
        notes={"packed (as shipped)": f"{padding:.1%} padding"},
    )
    steps = {torch.float32: "packed (as shipped)", torch.bfloat16: BFLOAT16}
    for kind, value in peak.items():
        achieved = flops * next(row.rate for row in rows if row.name == steps[kind]) / segments
        note = f"the packed step does {achieved / 1e9:.0f} GFLOP/s, {achieved / value:.0%} of it"
        rows.append(Row("matrix peak of this process", str(kind).removeprefix("torch."), value / 1e9, "GFLOP/s", 0.0, 0.0, 0.0, note))
    return rows


def _matrix_peak(kind: torch.dtype) -> float:
    """FLOP/s of a large matrix product, the best of several."""
    a, b = (torch.randn(MATRIX, MATRIX, dtype=torch.float32).to(kind) for _ in range(2))
    best = math.inf
    with torch.inference_mode():
        for _ in range(8):
            started = time.perf_counter()
            a @ b
            best = min(best, time.perf_counter() - started)
    return 2 * MATRIX**3 / best


def _packed_steps(config: EncoderConfig, pages: Sequence[Page]) -> tuple[Callable[[], object], float, float]:
    """Steps over the pages' windows, the FLOP of one pass over them, and the share of its tokens that are padding."""
    with TemporaryDirectory() as folder:
        family = packed_network(config, pages, Path(folder))
    network = family.network
    assert network is not None
    rows = [row for page in pages for row in labelled_windows(page, family.tokenizer, family.plan, family.topics)]
    rows.sort(key=lambda row: -row["length"])
    collator = Collator(family.plan)
    batches = [collator(rows[i : i + config.batch_windows]) for i in range(0, len(rows), config.batch_windows)]
    optimizer = family.optimizer(network)
    network.train()

    def step(batch: dict[str, torch.Tensor]) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            loss = network(**batch)["loss"]
        optimise(loss, network, optimizer)

    with FlopCounterMode(display=False) as counter:
        for batch in batches:
            step(batch)

    def steps() -> None:
        for batch in batches:
            step(batch)

    padding = 1 - sum(row["length"] for row in rows) / sum(batch["input_ids"].numel() for batch in batches)
    return steps, float(counter.get_total_flops()), padding


def _usual_steps(config: EncoderConfig, pages: Sequence[Page]) -> tuple[Callable[[], object], int]:
    """The same segments, each as a pair of segment and neighbours: batches of 8, dropout, every weight trained. And how many there are."""
    network, encode = usual_network(config)
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-5)
    triples = [triple for page in pages for triple in pairs(page)]
    batches = []
    for i in range(0, len(triples), PAIRS):
        own, other, labels = zip(*triples[i : i + PAIRS], strict=True)
        batches.append({**encode(own, other), "labels": torch.tensor(labels)})

    def steps() -> None:
        for batch in batches:
            optimise(network(**batch).loss, network, optimizer)

    return steps, len(triples)

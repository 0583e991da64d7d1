"""The encoder beside other work on the same cores: how much longer it takes there, its waiting threads asleep as
shipped, and spinning.

Each way of waiting is a process of its own: OpenMP asks for it once. With as many busy loops as cores, a fair share
makes work take twice as long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from train.bench.compare import Row, compare, in_own_process, pinned, split_pages
from train.common.console import console
from train.config.schema import load_config
from train.corpus.training_data import TrainingPages
from train.runtime.encoder import Encoder
from train.runtime.manifest import read_manifest
from train.runtime.text import clean

THREADS, LOOPS = 2, 2
LEARNT_PAGES, LABELLED_PAGES = 24, 16
WAITING = {"asleep (as shipped)": "PASSIVE", "spinning": "ACTIVE"}
"""How threads wait -> `OMP_WAIT_POLICY`."""
TOY = ("encoder.epochs=2", "encoder.device=cpu")


def neighbours(corpus: Path, model: Path, rounds: int) -> list[Row]:
    """Training on some pages and labelling some, alone and beside busy Python loops.

    Args:
        corpus: Composed pages.
        model: An encoder's output folder.
        rounds: The number of rounds that count.
    """
    rows = []
    for waiting, policy in WAITING.items():
        console.print(f"measuring neighbours, threads {waiting}")
        arguments = (str(corpus), str(model), str(rounds), waiting)
        measured = in_own_process("train.bench.neighbours", *arguments, OMP_WAIT_POLICY=policy, **pinned(THREADS))
        rows += [Row(**row) for row in measured]
    return rows


def main(corpus: Path, model: Path, rounds: int, waiting: str) -> list[Row]:
    """Measures in this process, with threads that wait in one way.

    Args:
        corpus: Composed pages.
        model: An encoder's output folder.
        rounds: The number of rounds that count.
        waiting: How threads wait, a name in `WAITING`.
    """
    if WAITING[waiting] == "ACTIVE":
        _let_sessions_spin()
    parts = split_pages(corpus)
    learnt, asked = (
        parts["train"][:LEARNT_PAGES],
        [[clean(text) for text in page.texts] for page in parts["test"][:LABELLED_PAGES]],
    )
    engine = Encoder.load(model / "bundle", read_manifest(model / "bundle"), threads=THREADS)
    rows = _beside(
        f"training, threads {waiting}",
        lambda: _train(TrainingPages(learnt)),
        sum(len(page.segments) for page in learnt),
        rounds,
    )
    return rows + _beside(
        f"labelling, threads {waiting}", lambda: engine.score_segments(asked), sum(map(len, asked)), rounds
    )


def _beside(what: str, work: Callable[[], object], segments: int, rounds: int) -> list[Row]:
    def disturbed() -> None:
        with _busy():
            work()

    rows = compare(
        what, {"alone": work, f"beside {LOOPS} busy loops": disturbed}, segments, "segments/s", rounds=rounds
    )
    return [replace(row, note=f"{1 / row.ratio:.2f} times as long as alone") for row in rows]


@contextmanager
def _busy() -> Iterator[None]:
    """Python loops that keep a core busy each until the block ends."""
    loops = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(LOOPS)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _train(pages: TrainingPages) -> None:
    """A toy training, every segment read anew: vectors are kept in a folder that goes."""
    from train.models.encoder.family import EncoderFamily

    config = load_config(Path("configs/demo-encoder.yaml"), TOY).encoder
    assert config is not None
    with TemporaryDirectory() as folder:
        os.environ["HF_HOME"] = folder
        EncoderFamily(config, 13, Path(folder)).fit(pages, lambda metrics, step: None)


def _let_sessions_spin() -> None:
    """Takes back, in this process, what `onnx_session` asks of ONNX Runtime."""
    import onnxruntime

    class Spinning(onnxruntime.SessionOptions):
        def add_session_config_entry(self, key: str, value: Any) -> None:
            super().add_session_config_entry(key, "1" if key.endswith("allow_spinning") else value)

    onnxruntime.SessionOptions = Spinning


if __name__ == "__main__":
    corpus_path, model_path, count, way = sys.argv[1:]
    print(json.dumps([asdict(row) for row in main(Path(corpus_path), Path(model_path), int(count), way)]))

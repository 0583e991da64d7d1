"""Peak memory of a process that loads one engine and labels some pages, with nothing else in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from train.bench.compare import Row, once, split_pages
from train.machine import peak_memory_mb
from train.runtime.encoder import Encoder
from train.runtime.labeler import read_manifest
from train.runtime.onnx import INT8
from train.runtime.reading import clean

PAGES = 16
ENGINES = ("torch float32", "ONNX Runtime float32", "ONNX Runtime int8")


def engine_memory(corpus: Path, model: Path, threads: int) -> list[Row]:
    """A row for each engine; int8 where the model's bundle has such weights."""
    peaks = {}
    for name in ENGINES:
        if name.endswith("int8") and not (model / "bundle" / f"segments{INT8}").is_file():
            continue
        command = [sys.executable, "-m", "train.bench.memory", name, str(corpus), str(model), str(threads)]
        peaks[name] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
    return once(f"peak memory of a process that labels {PAGES} pages", "MB", peaks)


def main(name: str, corpus: Path, model: Path, threads: int) -> float:
    """Labels pages with one engine and returns this process' peak memory in MB."""
    if name.startswith("torch"):
        import torch

        from train.bench.encoder import torch_engine

        reader = torch_engine(model, torch.float32, threads)
    else:
        reader = Encoder.load(model / "bundle", read_manifest(model / "bundle"), threads=threads, int8=name.endswith("int8"))
    reader.states([[clean(text) for text in page.texts] for page in split_pages(corpus)["test"][:PAGES]])
    return peak_memory_mb()


if __name__ == "__main__":
    engine, corpus_path, model_path, cores = sys.argv[1:]
    print(main(engine, Path(corpus_path), Path(model_path), int(cores)))

"""What a million pages cost: the whole way of `make label`, from a file of pages to Parquet, on one core."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from train.bench.compare import Row, compare
from train.bench.encoder import int8_engine
from train.bulk import label_corpus
from train.corpus.read import Corpus, write_pages
from train.labelling import load_labeler
from train.runtime.encoder import Encoder
from train.runtime.labeler import Labeler, read_manifest

PAGES = 60
CORE_HOUR = 0.04
"""US dollars an hour and core: about what clouds ask for a general-purpose virtual machine on demand; set your own."""


def cost(corpus: Path, encoder: Path, baseline: Path, rounds: int, threads: int) -> list[Row]:
    """Pages a second of the whole way, and from them core-hours and dollars per million pages.

    Args:
        corpus: Composed pages; the first `PAGES` are labelled.
        encoder: Output folder of an encoder.
        baseline: Output folder of a baseline.
        rounds: That count.
        threads: Of this process.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        pages = folder / "pages.jsonl"
        write_pages(pages, islice(Corpus(corpus), PAGES))
        whole = load_labeler(str(encoder))
        manifest = read_manifest(encoder / "bundle")
        labelers = {
            "baseline, two readings": load_labeler(str(baseline)),
            "encoder, float32": replace(whole, reader=Encoder.load(encoder / "bundle", manifest, threads=threads, int8=False)),
            "encoder, int8": replace(whole, reader=int8_engine(encoder / "bundle", manifest, threads)),
        }
        runs = {name: _run(labeler, pages, folder / "labelled") for name, labeler in labelers.items()}
        segments = sum(len(page.segments) for page in Corpus(pages)) / PAGES
        title = f"the whole way of `make label`, pages of {segments:.0f} segments, {threads} thread{'s'[: threads != 1]}"
        return [_priced(row, threads) for row in compare(title, runs, PAGES, "pages/s", rounds=rounds)]


def _run(labeler: Labeler, pages: Path, output: Path) -> Callable[[], object]:
    def run() -> None:
        shutil.rmtree(output, ignore_errors=True)
        label_corpus(labeler, str(pages), output)

    return run


def _priced(row: Row, threads: int) -> Row:
    hours = 1e6 / row.rate / 3600 * threads
    return replace(row, note=f"a million pages: {hours:,.1f} core-hours, {hours * CORE_HOUR:,.2f} USD at {CORE_HOUR} USD a core-hour")

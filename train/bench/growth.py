"""What the steps of the data's way, the baseline's training and its labelling cost as a corpus grows. Each measurement
is a process of its own.

Memory is the process' peak (resident set); time is the step's alone, imports not counted. Slopes are those of a
straight line through the logarithms: 1.0 grows with the corpus, 2.0 with its square.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from train.bench.compare import in_own_process
from train.common.console import track
from train.common.environment import peak_memory_mb
from train.common.errors import InputError
from train.corpus.training_data import TrainingPages
from train.studies.results import Measured

SIZES = (10_000, 100_000, 1_000_000)
SEGMENTS_A_PAGE = 174
"""Of the composed corpus, about: 70,000 segments on 400 pages."""
LEAST_PAGES = 52
"""Fewer give too few sites to split."""


@dataclass(frozen=True)
class Measurement:
    """One step on one size.

    Args:
        step: Its name.
        segments: The number of segments of the corpus.
        seconds: Wall time of the step.
        peak_mb: Peak resident memory of its process.
        imported_mb: The same when the step began: the libraries alone.
    """

    step: str
    segments: int
    seconds: float
    peak_mb: float
    imported_mb: float


def _check(corpus: Path, folder: Path) -> Callable[[], object]:
    from train.corpus.quality.check import check_corpus

    return lambda: check_corpus(corpus, quarantine=folder / "quarantine.jsonl")


def _split(corpus: Path, folder: Path) -> Callable[[], object]:
    from train.common.files import write_json
    from train.corpus.read import Corpus
    from train.corpus.splits.page_summary import page_summaries
    from train.corpus.splits.split import split_by_site

    def run() -> None:
        split = split_by_site(list(page_summaries(Corpus(corpus))), validation_share=0.15, test_share=0.25, seed=13)
        assert split.shared_stories() == 0
        write_json(folder / "split.json", split.to_json())

    return run


def _leakage(corpus: Path, folder: Path) -> Callable[[], object]:
    from train.config.schema import load_config
    from train.studies.leakage_effect import look

    config = load_config(Path("configs/pages-baseline.yaml"), [f"corpus.path={corpus}"])
    return lambda: look(config, None)


def _report(corpus: Path, folder: Path) -> Callable[[], object]:
    from train.reports.corpus_report import corpus_report

    return lambda: corpus_report(str(corpus), folder / "report.html", quarantine=folder / "quarantine.jsonl")


def _train(corpus: Path, folder: Path) -> Callable[[], object]:
    from train.config.schema import load_config
    from train.corpus.read import read_pages
    from train.models.baseline.family import BaselineFamily

    config = load_config(Path("configs/demo-baseline.yaml")).baseline
    assert config is not None
    pages = read_pages(corpus)
    return lambda: BaselineFamily(config, 13).fit(TrainingPages(pages), lambda metrics, step: None)


def _label(corpus: Path, folder: Path) -> Callable[[], object]:
    """With a model trained on a few pages: what it costs hangs on the model's size, not on what it knows."""
    from train.config.schema import load_config
    from train.corpus.read import Corpus
    from train.models.baseline.family import BaselineFamily
    from train.runtime import Labeler
    from train.runtime.decoding import Decoder

    config = load_config(Path("configs/demo-baseline.yaml"), ["baseline.max_iterations=5"]).baseline
    assert config is not None
    family = BaselineFamily(config, 13)
    few = [page for page, _ in zip(Corpus(corpus), range(150), strict=False)]
    family.fit(TrainingPages(few), lambda metrics, step: None)
    labeler = Labeler(family.scorer(), Decoder.from_tags([], weight=0.0), "newsparts", "bench", "baseline", ())

    def run() -> None:
        for _ in labeler.label((page.page_id, page.texts) for page in Corpus(corpus)):
            pass

    return run


STEPS = {
    "check": _check,
    "split": _split,
    "leakage": _leakage,
    "corpus-report": _report,
    "train": _train,
    "label": _label,
}
HOLD_PAGES, IN_MEMORY = ("train",), 200_000
"""Steps that hold all pages in memory are measured up to so many segments."""


def growth(folder: Path, sizes: Sequence[int] = SIZES, steps: Sequence[str] = tuple(STEPS)) -> list[Measurement]:
    """Measures each step on composed corpora of each size, one after the other.

    Args:
        folder: Where the corpora are kept.
        sizes: Numbers of segments, about.
        steps: Names in `STEPS`.

    Raises:
        InputError: There is no such step.
    """
    from train.corpus.build import build

    unknown = [step for step in steps if step not in STEPS]
    if unknown:
        raise InputError(
            f"step {unknown[0]!r}", expected=f"one of {', '.join(STEPS)}", remedy="name one of them", rule="no-step"
        )
    measurements = []
    corpora = [
        build(folder / f"composed-{size}.jsonl.gz", seed=13, pages=max(LEAST_PAGES, round(size / SEGMENTS_A_PAGE))).path
        for size in sizes
    ]
    wanted = [
        (step, corpus)
        for corpus, size in zip(corpora, sizes, strict=True)
        for step in steps
        if size <= IN_MEMORY or step not in HOLD_PAGES
    ]
    for step, corpus in track(wanted, "measuring", total=len(wanted)):
        one = in_own_process("train.bench.growth", step, str(corpus), TOKENIZERS_PARALLELISM="true")
        measurements.append(Measurement(**one))
    return measurements


def measure(step: str, corpus: Path) -> Measurement:
    """Runs one step in this process.

    Args:
        step: A name in `STEPS`.
        corpus: Composed pages.
    """
    from train.corpus.sources import jsonl

    segments = sum(len(record["segments"]) for _, record in jsonl.lines(corpus))
    with TemporaryDirectory(prefix=".bench-", dir=corpus.parent) as name:
        run = STEPS[step](corpus, Path(name))
        imported, started = peak_memory_mb(), time.perf_counter()
        run()
        return Measurement(step, segments, round(time.perf_counter() - started, 2), peak_memory_mb(), imported)


def slope(rows: Sequence[Measurement]) -> float:
    """The slope of the line through the logarithms of size and time."""
    return float(np.polyfit(np.log([row.segments for row in rows]), np.log([row.seconds for row in rows]), 1)[0])


def measured(rows: Sequence[Measurement]) -> dict[str, Measured]:
    """Step -> its values as a record keeps them: seconds, peak memory and what the step added to it, by size; and the
    slope of time."""
    steps = {}
    for step in dict.fromkeys(row.step for row in rows):
        own = sorted((row for row in rows if row.step == step), key=lambda row: row.segments)
        values: dict[str, float | str] = {}
        for row in own:
            values[f"s/{row.segments}"] = row.seconds
            values[f"mb/{row.segments}"] = round(row.peak_mb)
            values[f"added_mb/{row.segments}"] = round(row.peak_mb - row.imported_mb)
        values["segments_per_s"] = round(own[-1].segments / own[-1].seconds)
        if len(own) > 1:
            values["slope"] = round(slope(own), 2)
        steps[step] = Measured(values)
    return steps


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1], Path(sys.argv[2])))))

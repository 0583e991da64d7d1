"""`make demo`: the whole chain on the embedded corpus, step by step; a step whose inputs did not change is not
redone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from train.common.console import waiting
from train.common.errors import InputError
from train.common.files import write_text
from train.config.loader import read_settings
from train.config.schema import Config, load_config
from train.corpus.build import build
from train.corpus.loading import split_corpus
from train.corpus.page import Page
from train.corpus.quality.check import check_corpus
from train.evaluation.metrics import evaluate
from train.evaluation.trivial_baselines import majority_records
from train.export.bundle import copy_bundle, size_mb
from train.inference.inputs import read_texts
from train.inference.resolve import load_labeler
from train.registry.gate import Gate
from train.registry.promotion import gate_view
from train.registry.promotion import run as promote
from train.registry.versions import CHAMPION, register_outcome
from train.reports.comparison import metrics_markdown, metrics_view, verdicts, write_comparison
from train.reports.corpus_report import check_view, split_view
from train.reports.page_view import page_view
from train.studies.comparison import attach_comparison, compare_runs
from train.studies.real_pages import compare as compare_on_real_pages
from train.studies.results import Measured, save_rows
from train.training.outcome import Outcome, bundle_version
from train.training.recipe import fit
from train.training.resume import finished

SEED = 13
CONFIGS = {"baseline": "demo-baseline", "encoder": "demo-encoder"}
PAGE = "configs/demo-page.txt"
GATE = "configs/registry/gate.yaml"


@dataclass(frozen=True)
class Size:
    """How big a demo is.

    Args:
        pages: Number of pages of the composed corpus.
        folder: Where everything is written.
        overrides: Config overrides by family.
        gate: Overrides of the gate.
    """

    pages: int = 400
    folder: Path = Path("outputs")
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    gate: Sequence[str] = ()


FULL = Size()
SHORT = Size(
    pages=100,
    folder=Path("outputs/short"),
    overrides={
        "baseline": ["baseline.max_iterations=20"],
        "encoder": ["encoder.epochs=2", "encoder.fine_tune_epochs=1"],
    },
)
"""Every step on a quarter of the pages, for CI: it shows that the chain runs, its scores mean little."""


def run(out: Console, size: Size = FULL, *, save: bool = False) -> None:
    """Runs the chain and prints what it finds.

    Args:
        out: Where to print.
        size: The size of the demo.
        save: Whether to keep the models' scores in `configs/results`.

    Raises:
        InputError: A page of the composed corpus is refused, or a step of the chain fails.
    """
    started = time.monotonic()
    configs = {name: _config(file, size) for name, file in CONFIGS.items()}
    first = configs["baseline"]
    bundle = size.folder / "bundle"

    _title(out, 1, "corpus: real articles on invented sites")
    built = build(Path(str(first.corpus.path)), seed=SEED, pages=size.pages)
    out.print(f"{built.path}, sha256 {built.sha256[:12]}, {'composed' if built.was_built else 'unchanged'}")

    _title(out, 2, "check")
    with waiting("checking pages"):
        read: list[Page] = []
        report = check_corpus(built.path, quarantine=size.folder / "quarantine.jsonl", on_page=read.append)
    out.print(check_view(report))
    if report.errors:
        raise InputError(
            "the composed corpus breaks rules",
            expected="no error",
            remedy="report this: it is a fault of ours",
            path=built.path,
        )

    _title(out, 3, "split: no site and no article in two parts")
    with waiting("looking for stories that sites share"):
        split = split_corpus(first, {"path": read})
    out.print(split_view(split))
    parts = split.select(read)

    _title(out, 4, "train and evaluate, on sites and articles not seen in training")
    rows: dict[str, Mapping[str, float]] = {"majority class": _majority(parts, first)}
    outcomes: dict[str, Outcome] = {}
    trained = False
    for name, config in configs.items():
        known = finished(config)
        out.print(f"{name}: {'unchanged' if known else 'training'} ({config.output})")
        trained |= known is None
        outcomes[name] = known or fit(config, name=CONFIGS[name], overrides=size.overrides.get(config.family, ()))
        rows[name] = outcomes[name].metrics
    if len({outcome.split_sha256 for outcome in outcomes.values()}) != 1:
        raise InputError(
            "the demo's configs split differently", expected="one split", remedy="give them the same corpus section"
        )
    out.print(
        metrics_view(
            list(rows.items()),
            f"Test pages: {len(parts['test'])} of {len({p.site for p in parts['test']})} unseen sites; 95 % interval "
            "over sites",
        )
    )
    _keep(size.folder / "demo-table.md", rows, outcomes)
    if save:
        measured = {name: Measured.from_metrics(metrics) for name, metrics in rows.items()}
        save_rows("demo", measured, command="make demo", corpus_sha256=built.sha256)
    page = size.folder / "compare.html"
    if trained or save or not page.is_file():
        compared = compare_runs([outcomes[name].output for name in CONFIGS])
        write_comparison(page, compared)
        attach_comparison(page, compared)
        if save:
            row = {"encoder minus baseline": Measured.from_difference(compared.gains[0])}
            save_rows("demo-difference", row, command="make demo", corpus_sha256=built.sha256)
        out.print(f"{'. '.join(verdicts(compared))} ({page})", soft_wrap=True)

    _title(out, 5, "register the better one, by validation pages; the gate decides whether it serves")
    best = max(CONFIGS, key=lambda name: outcomes[name].metrics["validation/role/macro_f1"])
    scores = ", ".join(f"{name} {outcomes[name].metrics['validation/role/macro_f1']:.3f}" for name in CONFIGS)
    uri = str(outcomes[best].output)
    if outcomes[best].model_uri is not None:
        made = register_outcome(outcomes[best])
        out.print(f"validation role macro-F1: {scores}; {best} is version {made.version}, {made.uri}")
        decision = promote(read_settings(Gate, Path(GATE), size.gate))
        out.print(gate_view(decision))
        uri = f"models:/{made.name}@{CHAMPION}" if decision.promoted else made.uri

    _title(out, 6, "export: a folder that needs neither this repository nor torch")
    source = outcomes[best].output / "bundle"
    if bundle_version(bundle) != outcomes[best].version:
        copy_bundle(source, bundle)
    out.print(f"{bundle}: {outcomes[best].version}, {size_mb(bundle):.1f} MB, sha256 of every file checked")

    _title(out, 7, "on real pages in English: the main story's text, beside extractors that read the HTML")
    out.print(Markdown(compare_on_real_pages(str(outcomes[best].output), size.folder / "real-pages")))

    _title(out, 8, f"label {PAGE}")
    for record in load_labeler(str(bundle)).label(read_texts([PAGE])):
        out.print(page_view(record, width=out.width))

    out.print(f"\n[bold]Done in {time.monotonic() - started:.0f} s.[/bold] Next:")
    out.print("  make ui                                          compare the runs in MLflow")
    out.print(f"  .venv/bin/python -m train predict --model {uri} {PAGE}", soft_wrap=True)
    out.print('  make train CONFIG=configs/pages-baseline.yaml SET="corpus.path=YOUR.jsonl"', soft_wrap=True)


def _majority(parts: Mapping[str, list[Page]], config: Config) -> dict[str, float]:
    settings = config.evaluation
    records = majority_records(parts["train"], parts["test"])
    report = evaluate(
        parts["test"],
        records,
        bootstrap_samples=settings.bootstrap_samples,
        confidence=settings.confidence,
        seed=config.seed,
    )
    return report.metrics("test")


def _config(name: str, size: Size) -> Config:
    path = Path(f"configs/{name}.yaml")
    family = load_config(path).family
    own = [] if size is FULL else [f"output={size.folder / name}", f"corpus.path={size.folder / 'composed.jsonl.gz'}"]
    return load_config(path, [*own, *size.overrides.get(family, ())])


def _keep(path: Path, rows: Mapping[str, Mapping[str, float]], outcomes: Mapping[str, Outcome]) -> None:
    """The table as Markdown, with the command, corpus hash and date that a results table must name."""
    one = next(iter(outcomes.values()))
    note = (
        f"`make demo`, corpus sha256 `{one.corpus_sha256[:12]}`, split `{one.split_sha256[:12]}`, "
        f"{datetime.now(UTC):%Y-%m-%d}\n"
    )
    write_text(path, f"{metrics_markdown(list(rows.items()))}\n{note}")


def _title(out: Console, number: int, text: str) -> None:
    out.print(f"\n[bold]{number}. {text}[/bold]")

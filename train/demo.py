"""`make demo`: the whole chain on the embedded corpus, step by step; a step whose inputs did not change is not redone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from train.config import Config, load_config
from train.corpus.build import build
from train.corpus.check import check_corpus
from train.corpus.split import Split, describe
from train.errors import InputError
from train.evaluation import evaluate, majority_records
from train.export.bundle import checked_manifest, copy_bundle, size_mb
from train.files import write_text
from train.labelling import load_labeler, read_texts
from train.recipe import Outcome, corpus_sha256, finished, fit, split_corpus
from train.registry import register
from train.reports.terminal import check_view, comparison, markdown, page_view, split_view

PAGES, SEED = 1040, 13
CONFIGS = {
    "TF-IDF, segment alone": "demo-segment-alone",
    "baseline": "demo-baseline",
    "encoder": "demo-encoder",
}
CANDIDATES = ("baseline", "encoder")
PAGE = "configs/demo-page.txt"
BUNDLE = Path("outputs/bundle")


def run(out: Console, *, pages: int = PAGES, overrides: Mapping[str, list[str]] | None = None) -> None:
    """Runs the chain and prints what it finds.

    Args:
        out: Where answers go.
        pages: Size of the composed corpus.
        overrides: Config overrides by row of the table, for a short demo.
    """
    started = time.monotonic()
    configs = {
        name: load_config(Path(f"configs/{file}.yaml"), (overrides or {}).get(name, [])) for name, file in CONFIGS.items()
    }
    first = configs["baseline"]

    _title(out, 1, "corpus: real articles on this project's site templates")
    built = build(Path(str(first.corpus.path)), seed=SEED, pages=pages)
    out.print(f"{built.path}, sha256 {built.sha256[:12]}, {'composed' if built.was_built else 'unchanged'}")

    _title(out, 2, "check")
    report, read = check_corpus(built.path, quarantine=Path("outputs/quarantine.jsonl"))
    out.print(check_view(report))
    if report.errors:
        raise InputError("the composed corpus breaks rules", expected="no error", remedy="report this: it is a fault of ours", path=built.path)

    _title(out, 3, "split: no site, no template and no article in two parts")
    split = split_corpus(first, {"path": read})
    out.print(split_view(describe(split), len(split.linked_sites), split.shared_stories()))

    _title(out, 4, "train and evaluate, on sites and articles not seen in training")
    rows: dict[str, Mapping[str, float]] = {"majority class": _majority(split, first)}
    outcomes: dict[str, Outcome] = {}
    for name, config in configs.items():
        known = finished(config)
        out.print(f"{name}: {'unchanged' if known else 'training'} ({config.output})")
        outcomes[name] = known or fit(config)
        rows[name] = outcomes[name].metrics
    if len({outcome.split_sha256 for outcome in outcomes.values()}) != 1:
        raise InputError("the demo's configs split differently", expected="one split", remedy="give them the same corpus section")
    out.print(comparison(list(rows.items()), f"Test pages: {len(split.parts['test'])} of {len({p.site for p in split.parts['test']})} unseen sites; 95 % interval over sites"))
    _keep(rows, first, outcomes)

    _title(out, 5, "register the better one, by validation pages")
    best = max(CANDIDATES, key=lambda name: outcomes[name].metrics["validation/role/macro_f1"])
    scores = ", ".join(f"{name} {outcomes[name].metrics['validation/role/macro_f1']:.3f}" for name in CANDIDATES)
    uri = str(outcomes[best].output)
    if outcomes[best].model_uri is not None:
        made = register(str(outcomes[best].model_uri), bundle_version=outcomes[best].version)
        uri = made.uri
        out.print(f"validation role macro-F1: {scores}; {best} is version {made.version}, {made.uri}")

    _title(out, 6, "export: a folder that needs neither this repository nor torch")
    source = outcomes[best].output / "bundle"
    if not BUNDLE.is_dir() or checked_manifest(BUNDLE)["version"] != checked_manifest(source)["version"]:
        copy_bundle(source, BUNDLE)
    out.print(f"{BUNDLE}: {outcomes[best].version}, {size_mb(BUNDLE):.1f} MB, sha256 of every file checked")

    _title(out, 7, f"label {PAGE}")
    for record in load_labeler(str(BUNDLE)).label(read_texts([PAGE])):
        out.print(page_view(record, width=out.width))

    out.print(f"\n[bold]Done in {time.monotonic() - started:.0f} s.[/bold] Next:")
    out.print("  make ui                                          compare the runs in MLflow")
    out.print(f"  .venv/bin/python -m train predict --model {uri} {PAGE}", soft_wrap=True)
    out.print('  make train CONFIG=configs/pages-baseline.yaml SET="corpus.path=YOUR.jsonl"', soft_wrap=True)


def _majority(split: Split, config: Config) -> dict[str, float]:
    settings = config.evaluation
    records = majority_records(split.parts["train"], split.parts["test"])
    report = evaluate(
        split.parts["test"], records, bootstrap_samples=settings.bootstrap_samples, confidence=settings.confidence, seed=config.seed
    )
    row = {f"test/{name}": value for name, value in report.values.items()}
    for name, (low, high) in report.intervals.items():
        row |= {f"test/{name}/low": low, f"test/{name}/high": high}
    return row


def _keep(rows: Mapping[str, Mapping[str, float]], config: Config, outcomes: Mapping[str, Outcome]) -> None:
    """The table as Markdown, with the command, corpus hash and date that a results table must name."""
    split = next(iter(outcomes.values())).split_sha256
    note = f"`make demo`, corpus sha256 `{corpus_sha256(config)[:12]}`, split `{split[:12]}`, {datetime.now(UTC):%Y-%m-%d}\n"
    write_text(Path("outputs/demo-table.md"), f"{markdown(list(rows.items()))}\n{note}")


def _title(out: Console, number: int, text: str) -> None:
    out.print(f"\n[bold]{number}. {text}[/bold]")

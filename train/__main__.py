"""`python -m train VERB`: the command line; each verb is one function elsewhere."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")

import typer
from rich.console import Console

from train.errors import InputError
from train.progress import console

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)

ModelOption = Annotated[str, typer.Option("--model", help="A bundle, a run's output folder, or a URI: models:/newsparts@champion.")]
CorpusArgument = Annotated[Path, typer.Argument(help="A .jsonl, .jsonl.gz or .parquet corpus.")]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value overrides, e.g. seed=7 corpus.path=my.jsonl")]
ConfigOption = Annotated[Path, typer.Option("--config", help="A YAML file as in configs/.")]


@app.command()
def demo(short: Annotated[bool, typer.Option("--short", help="A fifth of the pages, in outputs/short; for CI.")] = False) -> None:
    """The whole chain on the embedded corpus; redoes only what its inputs changed."""
    from train.demo import FULL, SHORT, run

    run(out, SHORT if short else FULL)


@app.command()
def compose(
    output: Annotated[Path, typer.Option(help="Where to write the corpus.")],
    seed: Annotated[int, typer.Option(help="Another seed, another corpus.")] = 13,
    pages: Annotated[int, typer.Option(help="How many pages.")] = 1040,
) -> None:
    """Composes labelled pages of real articles and this project's site templates."""
    from train.corpus.build import build

    built = build(output, seed=seed, pages=pages)
    out.print(f"{built.path}: {pages:,} pages, sha256 {built.sha256}")


@app.command()
def check(
    corpus: CorpusArgument,
    quarantine: Annotated[Path, typer.Option(help="Where refused lines go.")] = Path("outputs/quarantine.jsonl"),
    keep: Annotated[Path | None, typer.Option(help="Where to write the kept pages; the suffix names the format.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Where to write the report as JSON.")] = None,
) -> None:
    """Checks a corpus by named rules. Exit code 2 when lines were refused, 0 on warnings."""
    from train.corpus.check import check_corpus
    from train.reports.terminal import check_view

    report, _ = check_corpus(corpus, quarantine=quarantine, keep=keep, report=json_)
    out.print(check_view(report))
    if report.errors:
        raise typer.Exit(2)


@app.command()
def split(config: ConfigOption, overrides: Overrides = None) -> None:
    """Shows how a config's corpus is split, and what the parts share."""
    from train.config import load_config
    from train.corpus.split import describe
    from train.recipe import read_corpus, split_corpus
    from train.reports.terminal import split_view

    loaded = load_config(config, overrides or ())
    made = split_corpus(loaded, read_corpus(loaded, Path(loaded.output))[0])
    out.print(split_view(describe(made), len(made.linked_sites), made.shared_stories()))


@app.command()
def fit(config: ConfigOption, overrides: Overrides = None) -> None:
    """Trains one model; goes on where a killed run of the same config, corpus and code stopped."""
    from train.config import load_config
    from train.recipe import fit as run
    from train.reports.terminal import comparison

    outcome = run(load_config(config, overrides or ()), name=config.stem)
    out.print(comparison([(config.stem, outcome.metrics)], "Test pages"))
    out.print(f"model    {outcome.output} (--model {outcome.output})")
    if outcome.run_id:
        from train.tracking import tracking_uri

        out.print(f"mlflow   run {outcome.run_id}, model {outcome.model_uri}, store {tracking_uri()} (make ui)", soft_wrap=True)


@app.command()
def evaluate(
    model: ModelOption,
    corpus: Annotated[Path, typer.Option(help="Labelled pages.")],
    json_: Annotated[Path, typer.Option("--json", help="Where to write the scores.")],
    samples: Annotated[int, typer.Option(help="Bootstrap resamples of sites.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
) -> None:
    """Scores a model on labelled pages, with 95 % intervals over sites."""
    from train.corpus.read import read_pages
    from train.evaluation import evaluate as run
    from train.files import sha256_file, write_json
    from train.labelling import load_labeler
    from train.progress import track

    labeler, pages = load_labeler(model), read_pages(corpus)
    records = list(labeler.label(track(((p.page_id, p.texts) for p in pages), "labelling pages", total=len(pages))))
    report = run(pages, records, topics=labeler.topics, bootstrap_samples=samples, seed=seed)
    named = {"name": labeler.name, "version": labeler.version, "family": labeler.family}
    write_json(json_, report.to_json(corpus=str(corpus), corpus_sha256=sha256_file(corpus), model=named))
    for name, value in report.values.items():
        low, high = report.intervals.get(name, (value, value))
        out.print(f"{name:28} {value:.4f}  ({low:.4f}-{high:.4f})")
    out.print(f"{report.n_pages} pages of {report.n_sites} sites -> {json_}")


@app.command()
def predict(
    model: ModelOption, files: Annotated[list[str], typer.Argument(help=".txt (a segment a line), -, .jsonl, .jsonl.gz or .parquet")]
) -> None:
    """Labels pages and prints one JSON line a page."""
    from train.labelling import load_labeler, read_texts

    for record in load_labeler(model).label(read_texts(files)):
        sys.stdout.buffer.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()


@app.command()
def show(
    model: ModelOption,
    files: Annotated[list[str], typer.Argument(help="As for predict.")],
    svg: Annotated[Path | None, typer.Option(help="Also write the picture as SVG.")] = None,
) -> None:
    """Labels pages and prints them with their segments marked."""
    from train.labelling import load_labeler, read_texts
    from train.reports.terminal import page_view

    screen = Console(record=svg is not None, width=120 if svg else None, highlight=False)
    for record in load_labeler(model).label(read_texts(files)):
        screen.print(page_view(record, width=screen.width))
    if svg is not None:
        screen.save_svg(str(svg), title="python -m train show")


@app.command()
def export(model: ModelOption, output: Annotated[Path, typer.Option(help="The folder of the bundle.")] = Path("outputs/bundle")) -> None:
    """Copies a model's bundle to a folder of its own, after checking every file."""
    from train.export.bundle import copy_bundle, size_mb
    from train.registry import bundle_folder

    manifest = copy_bundle(bundle_folder(model), output)
    out.print(f"{output}: {manifest['family']} {manifest['version']}, {size_mb(output):.1f} MB; pip install -r {output}/requirements.txt")


@app.command()
def register(model: Annotated[Path, typer.Option("--model", help="The output folder of a finished fit.")]) -> None:
    """Registers the model of a finished run and makes it the champion."""
    from train.files import read_json
    from train.recipe import OUTCOME
    from train.registry import register as run

    outcome = read_json(model / OUTCOME)
    if not outcome["model_uri"]:
        raise InputError("the run was not tracked", expected="a run with tracking.enabled=true", remedy="train it again", path=model)
    made = run(outcome["model_uri"], bundle_version=outcome["version"])
    out.print(f"{made.uri} is version {made.version}")


def main() -> int:
    """Runs the command line; returns the exit code. Errors of the user's input are told without a traceback, with code 2."""
    from train.interrupt import Interrupted

    try:
        code = app(standalone_mode=False)
    except InputError as error:
        console.print(f"error: {error}", markup=False, soft_wrap=True, style="red")
        return 2
    except Interrupted as error:
        console.print(f"stopped by {error}; run the same command again to go on", style="red")
        return 128 + error.number
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader of our output is gone; Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if type(error).__module__.startswith(("typer", "click")) and hasattr(error, "show"):
            error.show()
            return int(getattr(error, "exit_code", 2))
        raise
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())

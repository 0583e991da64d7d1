"""`python -m train VERB`: the command line; each verb is one function elsewhere."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from train import data_commands, registry_commands, service_commands, study_commands  # noqa: F401  their verbs enter the application by being imported
from train.command_line import ConfigOption, ModelOption, Overrides, SliceOption, app, out
from train.errors import InputError, refusal_of_the_disk
from train.progress import console, track


@app.command()
def demo(short: Annotated[bool, typer.Option("--short", help="A fifth of the pages, in outputs/short; for CI.")] = False) -> None:
    """The whole chain on the embedded corpus; redoes only what its inputs changed."""
    from train.demo import FULL, SHORT, run

    run(out, SHORT if short else FULL)


@app.command()
def crossval(
    config: ConfigOption,
    overrides: Overrides = None,
    output: Annotated[Path | None, typer.Option(help="The folder to write to; outputs/crossval/CONFIG by default.")] = None,
    folds: Annotated[int, typer.Option(help="How many, by site.")] = 5,
    slice_by: SliceOption = None,
) -> None:
    """Scores a config on every page, by models that have not seen the page's site; with 95 % intervals over sites."""
    from train.config import load_config
    from train.crossval import cross_validate
    from train.reports.terminal import scores_view

    folder = output or Path("outputs/crossval") / config.stem
    found = cross_validate(load_config(config, overrides or ()), config.stem, folder, count=folds, slice_by=slice_by)
    whole = found.whole
    out.print(scores_view(f"{config.stem}: {whole.n_pages:,} pages of {whole.n_sites:,} unseen sites", whole, found.slices))
    sure = found.reliability
    out.print(
        f"calibrated role probabilities: ECE {sure['ece']:.4f}, Brier {sure['brier']:.4f}, the surest half {sure['coverage']['50%']:.1%} right"
    )
    out.print(f"{folder / 'crossval.json'}, records in {folder / 'records.jsonl.gz'}")


@app.command()
def fit(config: ConfigOption, overrides: Overrides = None) -> None:
    """Trains one model; goes on where a killed run of the same config, corpus and code stopped."""
    from train.config import load_config
    from train.recipe import fit as run
    from train.reports.terminal import comparison

    outcome = run(load_config(config, overrides or ()), name=config.stem, overrides=overrides or ())
    out.print(comparison([(config.stem, outcome.metrics)], "Test pages"))
    out.print(f"model    {outcome.output} (--model {outcome.output})")
    if outcome.run_id:
        from train.tracking import tracking_uri

        out.print(f"mlflow   run {outcome.run_id}, model {outcome.model_uri}, store {tracking_uri()} (make ui)", soft_wrap=True)


@app.command()
def evaluate(
    model: ModelOption,
    corpus: Annotated[str, typer.Option(help="Labelled pages.")],
    json_: Annotated[Path, typer.Option("--json", help="Where to write the scores.")],
    part: Annotated[
        str | None, typer.Option(help="Score this part alone of the split the model was trained with: train, validation or test.")
    ] = None,
    slice_by: SliceOption = None,
    known_stories: Annotated[
        bool, typer.Option("--known-stories", help="Score topics alone, of the labelled stories: as if their borders were known.")
    ] = False,
    samples: Annotated[int, typer.Option(help="Bootstrap resamples of sites.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
) -> None:
    """Scores a model on labelled pages, with 95 % intervals over sites."""
    from train.corpus.read import read_pages
    from train.corpus.sources import digest
    from train.evaluation import by_value
    from train.evaluation import evaluate as run
    from train.files import write_json
    from train.labelling import label_known_stories, load_labeler
    from train.recipe import label_pages, run_corpus_sha256
    from train.reports.terminal import scores_view
    from train.run_pages import part_of_run

    pages = read_pages(corpus) if part is None else part_of_run(Path(model), part, corpus, sha256=run_corpus_sha256(Path(model)))
    labeler = load_labeler(model)
    if known_stories:
        records = list(label_known_stories(labeler, track(pages, "reading stories", total=len(pages))))
    else:
        records = label_pages(labeler, pages, "labelling pages")
    whole, slices = (
        {value: run(*found, bootstrap_samples=samples, seed=seed) for value, found in kept.items()}
        for kept in ({"": (pages, records)}, by_value(pages, records, slice_by) if slice_by else {})
    )
    if known_stories:
        whole, slices = ({value: found.only("topic") for value, found in kept.items()} for kept in (whole, slices))
    report = whole[""]
    named = {"name": labeler.name, "version": labeler.version, "family": labeler.family}
    sliced = {value: found.to_json() for value, found in slices.items()}
    write_json(json_, report.to_json(corpus=str(corpus), corpus_sha256=digest(corpus), part=part, model=named, slices=sliced))
    of = f"{part} part, pages" if part else "pages"
    out.print(scores_view(f"{labeler.family} {labeler.version}: {report.n_pages:,} {of} of {report.n_sites:,} sites", report, slices))
    out.print(f"scores are in {json_}")


@app.command()
def predict(
    model: ModelOption,
    files: Annotated[list[str], typer.Argument(help=".txt (a segment a line), -, .jsonl, .jsonl.gz or .parquet")],
    unsure: Annotated[
        bool, typer.Option("--unsure", help="Say of each segment whether its confidence is below its role's threshold.")
    ] = False,
) -> None:
    """Labels pages and prints one JSON line a page."""
    from train.labelling import load_labeler, read_texts

    for record in load_labeler(model).label(read_texts(files), unsure=unsure):
        sys.stdout.buffer.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()


@app.command()
def show(
    model: ModelOption,
    files: Annotated[list[str], typer.Argument(help="As for predict.")],
    svg: Annotated[Path | None, typer.Option(help="Also write the picture as SVG.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the pages as one HTML page, with their labels beside the answers where they have some.")
    ] = None,
) -> None:
    """Labels pages and prints them with their segments marked."""
    from train.explain import explainer_of
    from train.labelling import label_pairs, load_labeler, read_files
    from train.reports.page_view import MOST_PAGES, View, view_of, write_view
    from train.reports.terminal import page_view

    labeler = load_labeler(model)
    explainer = explainer_of(labeler) if html else None
    screen = Console(record=svg is not None, width=120 if svg else None, highlight=False)
    views: list[View] = []
    for page, record in label_pairs(labeler, read_files(files, labels=html is not None)):
        screen.print(page_view(record, width=screen.width))
        if html is not None and len(views) <= MOST_PAGES:
            views.append(view_of(record, page, explainer))
    if svg is not None:
        screen.save_svg(str(svg), title="python -m train show")
    if html is not None:
        write_view(html, f"Pages read by {labeler.name} {labeler.version}", views)
        out.print(f"{html}", markup=False)


@app.command()
def explain(
    model: ModelOption,
    files: Annotated[list[str] | None, typer.Argument(help="As for predict: why each segment is what it is.")] = None,
    count: Annotated[int, typer.Option("--n", help="Features to name.")] = 12,
) -> None:
    """Names the features a TF-IDF baseline goes by: of each role, or of each segment of a page."""
    from train.explain import explainer_of, top_features
    from train.labelling import load_labeler, read_texts
    from train.reports.terminal import top_features_view, why_view

    labeler = load_labeler(model)
    explainer = explainer_of(labeler)
    if explainer is None:
        raise InputError(
            f"a model of family {labeler.family}", expected="a baseline: its first reading is linear, others are not",
            remedy="name a baseline, e.g. outputs/pages-baseline", rule="not-explainable",
        )  # fmt: skip
    if explainer.baseline.second is not None:
        out.print("The first reading is explained; a second one, by trees, may overrule it (baseline.second_reading).", style="dim")
    if not files:
        out.print(top_features_view(top_features(explainer.baseline, count)))
    for page_id, texts in read_texts(files or []):
        out.print(page_id, style="bold", markup=False)
        out.print(why_view(texts, explainer.why(texts, min(count, 5)), width=out.width))


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
        refused = refusal_of_the_disk(error)
        if refused is not None:
            console.print(f"error: {refused}", markup=False, soft_wrap=True, style="red")
            return 2
        if type(error).__module__.startswith(("typer", "click")) and hasattr(error, "show"):
            error.show()
            return int(getattr(error, "exit_code", 2))
        raise
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())

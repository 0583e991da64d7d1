"""Verbs of a trained model at work: predict, show, explain, label, serve, drift."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from train.cli import options as opt
from train.cli.options import out
from train.cli.training import become_mlflow
from train.common.errors import InputError


def serve(
    model: Annotated[str, typer.Option("--model", help="A URI of the registry.")] = "models:/newsparts@champion",
    host: opt.Host = "127.0.0.1",
    port: opt.Port = 5001,
    workers: Annotated[int, typer.Option(help="The number of processes, each with a model of its own.")] = 1,
) -> None:
    """Serves a model over HTTP by `mlflow models serve`, which runs the code that was logged with it; POST /invocations
    takes pages, GET /ping says whether it is well."""
    from train.inference.resolve import bundle_folder, is_folder
    from train.tracking.plain_paths import plain_path

    if is_folder(model):
        raise InputError(
            f"a folder, {model}",
            expected="a URI such as models:/newsparts@champion or models:/m-…",
            rule="no-uri",
            remedy="register the run's model (make register, make promote), or serve a bundle as "
            "train/export/examples/service.py does",
        )
    bundle = bundle_folder(model)  # a clear error before a server is started
    out.print(f"{model} on http://{host}:{port}/invocations; Ctrl-C ends it", soft_wrap=True, markup=False)
    logged = plain_path(bundle.parents[2]) / bundle.parents[1].name  # MLflow follows no link that is the model itself
    become_mlflow(
        "models", "serve", "-m", str(logged), "--env-manager", "local", "-h", host, "-p", str(port), "-w", str(workers)
    )


def label(
    corpus: opt.Corpus,
    output: Annotated[Path, typer.Option(help="The folder of the Parquet parts.")],
    model: opt.Model = "pretrained",
    columns: opt.Columns = "",
    pages_a_part: Annotated[int, typer.Option(min=1, help="Pages in a part, the most that a killed run loses.")] = 1000,
) -> None:
    """Labels a corpus of any size into Parquet parts, in order, each page once; run again, it goes on where it
    stopped."""
    from train.corpus.column_mapping import ColumnMapping
    from train.inference.batch import label_corpus
    from train.inference.resolve import load_labeler

    report = label_corpus(
        load_labeler(model), corpus, output, naming=ColumnMapping.parse(columns, ""), pages_a_part=pages_a_part
    )
    known = f", {report.known:,} of them before" if report.known else ""
    refused = f"; {report.refused:,} refused, see {output}/_refused-*.jsonl" if report.refused else ""
    out.print(
        f"{output}: {report.labelled:,} of {report.lines:,} pages labelled{known}{refused}",
        markup=False,
        soft_wrap=True,
    )
    if not report.labelled:
        raise typer.Exit(1)


def drift(
    model: opt.Model,
    corpus: opt.Corpus,
    output: Annotated[Path, typer.Option(help="The page to write.")] = Path("outputs/drift.html"),
    columns: opt.Columns = "",
) -> None:
    """Compares new pages with those the model was tested on; exit code 1 when they have shifted, so that cron can
    tell."""
    from train.corpus.column_mapping import ColumnMapping
    from train.corpus.read import Corpus
    from train.monitoring.drift import check_drift
    from train.reports.drift import drift_view, write_drift_page

    result = check_drift(model, Corpus(corpus, ColumnMapping.parse(columns, ""), labelled=None))
    write_drift_page(output, result.shifts, model=result.model, corpus=corpus, pages=result.pages, sites=result.sites)
    out.print(drift_view(result))
    out.print(f"{output}", markup=False)
    if any(shift.shifted for shift in result.shifts):
        raise typer.Exit(1)


def predict(
    files: opt.Files,
    model: opt.Model = "pretrained",
    unsure: Annotated[
        bool, typer.Option("--unsure", help="Say of each segment whether its confidence is below its role's threshold.")
    ] = False,
) -> None:
    """Labels pages and prints one JSON line a page."""
    from train.inference.inputs import read_texts
    from train.inference.resolve import load_labeler

    for record in load_labeler(model).label(read_texts(files), unsure=unsure):
        sys.stdout.buffer.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
        sys.stdout.flush()


def show(
    files: opt.Files,
    model: opt.Model = "pretrained",
    svg: Annotated[Path | None, typer.Option(help="Also write the picture as SVG.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write the pages as one HTML page, beside the labels they have.")
    ] = None,
) -> None:
    """Labels pages and prints them with their segments marked."""
    from train.inference.explain import explainer_of
    from train.inference.inputs import label_pairs, read_files
    from train.inference.resolve import load_labeler
    from train.reports.page_view import MOST_PAGES, View, page_view, view_of, write_view

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


def explain(
    model: opt.Model,
    files: Annotated[list[str] | None, typer.Argument(help="As for predict: why each segment is what it is.")] = None,
    count: Annotated[int, typer.Option("--n", help="The number of features to name.")] = 12,
) -> None:
    """Names the features a TF-IDF baseline goes by: of each role, or of each segment of a page."""
    from train.inference.explain import explainer_of, top_features
    from train.inference.inputs import read_texts
    from train.inference.resolve import load_labeler
    from train.reports.page_view import top_features_view, why_view

    labeler = load_labeler(model)
    explainer = explainer_of(labeler)
    if explainer is None:
        raise InputError(
            f"a model of family {labeler.family}",
            expected="a baseline: its first reading is linear, others are not",
            remedy="name a baseline, e.g. outputs/pages-baseline",
            rule="not-explainable",
        )
    if explainer.baseline.second is not None:
        out.print(
            "The first reading is explained; a second one, by trees, may overrule it (baseline.stacking_neighbours).",
            style="dim",
        )
    if not files:
        out.print(top_features_view(top_features(explainer.baseline, count)))
    for page_id, texts in read_texts(files or []):
        out.print(page_id, style="bold", markup=False)
        out.print(why_view(texts, explainer.why(texts, min(count, 5)), width=out.width))

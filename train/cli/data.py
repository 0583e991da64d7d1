"""Verbs of data: compose, check, convert, split, find leakage and label errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from train.cli import options as opt
from train.cli.options import out
from train.common.errors import InputError


def compose(
    output: Annotated[Path, typer.Option(help="Where to write the corpus.")],
    seed: Annotated[int, typer.Option(help="The seed of what is drawn: another seed, another corpus.")] = 13,
    pages: Annotated[int, typer.Option(help="The number of pages.")] = 400,
    kind: Annotated[
        str, typer.Option(help="generated: sites that are drawn; templates: the 52 hand-made ones, for tests.")
    ] = "generated",
) -> None:
    """Composes labelled pages of real articles on invented sites."""
    from train.corpus.build import build

    built = build(output, seed=seed, pages=pages, kind=kind)
    out.print(f"{built.path}: {pages:,} pages, sha256 {built.sha256}")


def check(
    corpus: opt.Corpus,
    quarantine: opt.Quarantine = Path("outputs/quarantine.jsonl"),
    keep: Annotated[
        Path | None, typer.Option(help="Where to write the kept pages; the suffix names the format.")
    ] = None,
    json_: Annotated[
        Path | None,
        typer.Option("--json", help="Where to write the report as JSON; - prints it instead of the summary."),
    ] = None,
    columns: opt.Columns = "",
    roles: opt.Roles = "",
    unlabelled: opt.Unlabelled = False,
) -> None:
    """Checks a corpus by named rules, and converts it with --keep. Exit code 2 when pages were refused, 0 on
    warnings."""
    from train.corpus.column_mapping import ColumnMapping
    from train.corpus.quality.check import check_corpus
    from train.reports.corpus_report import check_view

    printed = json_ is not None and str(json_) == "-"
    report = check_corpus(
        corpus,
        quarantine=quarantine,
        keep=keep,
        report=None if printed else json_,
        naming=ColumnMapping.parse(columns, roles),
        labelled=not unlabelled,
    )
    if printed:
        sys.stdout.buffer.write(
            json.dumps(report.to_json(), indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        )
    else:
        out.print(check_view(report))
        if keep is not None:
            out.print(f"kept pages are in {keep}")
    if report.errors:
        raise typer.Exit(2)


def corpus_report(
    corpus: opt.Corpus,
    output: Annotated[Path, typer.Option(help="The HTML file.")] = Path("outputs/corpus-report.html"),
    quarantine: opt.Quarantine = Path("outputs/quarantine.jsonl"),
    columns: opt.Columns = "",
    roles: opt.Roles = "",
    unlabelled: opt.Unlabelled = False,
    seed: Annotated[int, typer.Option(help="The seed that the 20 pages shown are drawn by.")] = 0,
) -> None:
    """Writes a corpus as one HTML page: figures, findings, duplicates, label conflicts, and 20 random pages."""
    from train.common.console import waiting
    from train.corpus.column_mapping import ColumnMapping
    from train.reports.corpus_report import corpus_report as write

    with waiting("looking at the corpus"):
        report = write(
            corpus,
            output,
            quarantine=quarantine,
            naming=ColumnMapping.parse(columns, roles),
            labelled=not unlabelled,
            seed=seed,
        )
    out.print(f"{output}: {report.kept:,} pages; open it in a browser")
    if report.errors:
        out.print(f"{sum(report.errors.values()):,} pages refused, see {report.quarantine}", style="red")
        raise typer.Exit(2)


def corpus_statistics(
    corpora: Annotated[list[str], typer.Argument(help="Labelled corpora, each a path or SOURCE:PATH (see `sources`).")],
    language: Annotated[str, typer.Option(help="Only pages of this language, e.g. en; empty: all.")] = "",
    json_: Annotated[Path | None, typer.Option("--json", help="Where to write the figures as JSON.")] = None,
) -> None:
    """Prints what the pages of corpora are like, side by side: their size, their story and what is around it."""
    from train.common.files import write_json
    from train.corpus.column_mapping import in_languages
    from train.corpus.read import read_pages
    from train.corpus.statistics import statistics
    from train.reports.corpus_report import statistics_view

    figures = {}
    for corpus in corpora:
        pages = [page for page in read_pages(corpus) if in_languages(page.lang, [language] if language else [])]
        if not pages:
            raise InputError(f"no page of {language!r} in {corpus}", expected="pages", remedy="name another language")
        figures[corpus] = statistics(pages)
    out.print(statistics_view(figures))
    if json_ is not None:
        write_json(json_, figures)


def sources() -> None:
    """Lists the formats of labelled pages and of topic texts that are read."""
    from train.corpus.sources import SOURCES
    from train.corpus.topic_texts import KINDS

    for name, source in SOURCES.items():
        out.print(f"{name:13} {source.what}")
    out.print(f"\ntopic texts (topics.path): {', '.join(KINDS)}")


def topics(
    texts: Annotated[
        str, typer.Argument(help="KIND:PATH, e.g. ag-news:train.csv, folders:bbc, newsgroups:20news, dataset:ID.")
    ],
    mapping: Annotated[
        str | None, typer.Option(help="A topic mapping: a file, or iptc for the 17 IPTC Media Topics.")
    ] = None,
    quarantine: opt.Quarantine = Path("outputs/quarantine-topics.jsonl"),
    model: Annotated[str | None, typer.Option(help="Name the texts' topics with this model, and score it.")] = None,
) -> None:
    """Reads a set of loose texts with topics and counts it; with --model, scores how well the model names them."""
    from train.common.console import track
    from train.corpus.topic_texts import TopicMapping, as_labelled, count_topics, read_texts
    from train.evaluation.known_stories import label_known_stories
    from train.evaluation.metrics import evaluate
    from train.inference.resolve import load_labeler
    from train.reports.run_report import scores_view

    pages, refused = read_texts(texts, TopicMapping.load(mapping), quarantine)
    for topic, count in count_topics(pages).most_common():
        out.print(f"{count:8,} {topic}", markup=False)
    out.print(
        f"{len(pages) + refused:,} texts in = {len(pages):,} kept + {refused:,} "
        f"quarantined{f' in {quarantine}' if refused else ''}"
    )
    if model is not None:
        labeler, labelled = load_labeler(model), [as_labelled(page) for page in pages]
        records = label_known_stories(labeler, track(labelled, "reading texts", total=len(labelled)))
        scores = evaluate(labelled, records).only("topic")
        out.print(scores_view(f"topics of {len(labelled):,} texts by {labeler.family} {labeler.version}", scores, {}))
    if refused:
        raise typer.Exit(2)


def split(
    config: opt.Config,
    overrides: opt.Overrides = None,
    output: Annotated[
        Path | None, typer.Option(help="Where to save the split; give it to runs as corpus.split_path.")
    ] = None,
) -> None:
    """Splits a config's corpus, shows who is in which part and what the parts share, and saves it. With corpus.folds,
    all folds."""
    from train.common.files import write_json
    from train.config.schema import load_config
    from train.corpus.loading import corpus_sha256, splits_of, stream_corpus
    from train.reports.corpus_report import split_view

    loaded = load_config(config, overrides or ())
    digest = corpus_sha256(loaded)
    made = splits_of(loaded, stream_corpus(loaded))
    for fold, one in enumerate(made):
        out.print(f"{f'fold {fold}: ' if len(made) > 1 else ''}split {one.sha256[:12]}, corpus {digest[:12]}")
        out.print(split_view(one))
        if output is not None:
            path = output if len(made) == 1 else output.with_name(f"{output.stem}-{fold}{output.suffix}")
            write_json(path, {"corpus_sha256": digest, **one.to_json()})
            out.print(f"saved in {path}; use it by corpus.split_path={path}", markup=False)


def leakage(
    config: Annotated[
        Path | None, typer.Option("--config", help="A YAML file as in configs/; or give --model alone.")
    ] = None,
    overrides: opt.Overrides = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="A run's output folder: its split is looked at, and scored without leaks."),
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Where to write what leaked, item by item.")] = None,
) -> None:
    """Shows exact and near duplicates across the parts of a split; with --model, test scores with and without them."""
    from train.common.files import write_json
    from train.common.generation import finished_run
    from train.config.schema import load_config
    from train.reports.corpus_report import leakage_view, with_and_without_view
    from train.studies.leakage_effect import look, scores

    if config is None and model is None:
        raise InputError(
            "neither --config nor --model", expected="one of them", remedy="make leakage CONFIG=… or MODEL=outputs/…"
        )
    model = model and finished_run(model)
    loaded = load_config(config or Path(str(model)) / "config.yaml", overrides or ())
    report, split, parts = look(loaded, None if model is None else model / "split.json")
    out.print(leakage_view(report, split.shared_stories()))
    content = report.to_json() | {"split_sha256": split.sha256, "pages_sharing_stories": split.shared_stories()}
    if json_ is not None:
        write_json(json_, content)  # what leaked is kept even when nothing is left to score
    if model is not None:
        whole, kept = scores(str(model), list(parts["test"]), report.items.get("test", {}), loaded)
        leaked = sum(map(len, report.items.get("test", {}).values()))
        out.print(with_and_without_view(whole.values, kept.values, leaked))
        content |= {"test_with": whole.to_json(), "test_without": kept.to_json()}
    if json_ is not None:
        write_json(json_, content)
        out.print(f"every leaked segment is named in {json_}")


def label_errors(
    config: opt.Config,
    overrides: opt.Overrides = None,
    output: opt.Folder = Path("outputs/label-errors"),
    folds: opt.Folds = 5,
    most: Annotated[int, typer.Option(help="The number of errors whose pages become Label Studio tasks.")] = 200,
) -> None:
    """Ranks probable label errors by models that have not seen the site, and writes them for Label Studio."""
    from train.annotation.label_errors import label_errors as find
    from train.annotation.label_errors import write_label_errors
    from train.config.schema import load_config
    from train.corpus.loading import read_corpus
    from train.reports.error_browser import label_errors_view
    from train.training.crossval import out_of_fold

    loaded = load_config(config, overrides or ())
    by_file, digest = read_corpus(loaded, output)
    pages = [page for part in by_file.values() for page in part]
    records = out_of_fold(loaded, pages, digest, count=folds, work=output / "folds")
    errors = find(pages, records)
    listed, tasks, count = write_label_errors(output, pages, records, errors, most=most)
    out.print(label_errors_view(errors, pages))
    out.print(f"{listed}: {len(errors):,} probable errors, the surest first")
    out.print(f"{tasks}: {count:,} Label Studio tasks with both labels; interface in {output / 'interface.xml'}")


def suggest(
    model: opt.Model,
    corpus: Annotated[str, typer.Option(help="Unlabelled pages, e.g. html:FOLDER or pages.jsonl.")],
    n: Annotated[int, typer.Option("--n", help="The number of pages to pick.")] = 50,
    output: opt.Folder = Path("outputs/suggest"),
    columns: opt.Columns = "",
    roles: opt.Roles = "",
) -> None:
    """Picks the unlabelled pages worth labelling next and writes them, pre-annotated, for Label Studio."""
    from train.annotation.active_learning import suggest as pick
    from train.annotation.active_learning import write_suggestions
    from train.common.console import waiting
    from train.corpus.column_mapping import ColumnMapping
    from train.corpus.quality.check import check_corpus
    from train.inference.resolve import load_labeler

    labeler = load_labeler(model)
    with waiting("labelling pages"):
        # Read once, and what is refused counted; a crawl is read faster from our own lines than from its HTML.
        pool, quarantine = output / "pages.jsonl.gz", output / "quarantine.jsonl"
        report = check_corpus(
            corpus, quarantine=quarantine, keep=pool, naming=ColumnMapping.parse(columns, roles), labelled=False
        )
        picked = pick(str(pool), labeler, count=n)
        tasks, count = write_suggestions(output, str(pool), labeler, picked)
    if report.errors:
        out.print(
            f"{sum(report.errors.values()):,} of {report.lines:,} pages refused, see {quarantine}",
            style="yellow",
            markup=False,
        )
    for suggestion in picked[:10]:
        out.print(f"{suggestion.uncertainty:.3f}  {suggestion.site:30} {suggestion.page_id}", markup=False)
    out.print(f"{tasks}: {count:,} Label Studio tasks of {len({s.site for s in picked}):,} sites, pre-annotated")
    out.print(
        f"Label Studio: a project with the interface {output / 'interface.xml'}, import the tasks, label, export as "
        "JSON, then"
    )
    out.print("  make check CORPUS=label-studio:export.json KEEP=labelled.jsonl", soft_wrap=True)


def label_studio(
    corpus: opt.Corpus,
    output: opt.Folder = Path("outputs/label-studio"),
    model: Annotated[str | None, typer.Option("--model", help="The model whose labels become pre-annotations.")] = None,
    columns: opt.Columns = "",
    roles: opt.Roles = "",
) -> None:
    """Writes pages as Label Studio tasks: labels as annotations, a model's answers as pre-annotations."""
    from train.common.files import write_text
    from train.corpus.column_mapping import ColumnMapping
    from train.corpus.read import Corpus
    from train.corpus.sources import label_studio as studio
    from train.inference.resolve import load_labeler

    pages = Corpus(corpus, ColumnMapping.parse(columns, roles), labelled=False)
    labeler = None if model is None else load_labeler(model)
    topics: set[str] = set(labeler.topics if labeler else ())

    def tasks() -> Iterator[dict[str, Any]]:
        for page in pages:
            topics.update(s.topic for s in page.segments if s.topic is not None)
            yield studio.task(page, None if labeler is None else next(labeler.label([(page.page_id, page.texts)])))

    count = studio.write_tasks(output / "tasks.json", tasks())
    write_text(output / "interface.xml", studio.interface(sorted(topics)))
    out.print(f"{output / 'tasks.json'}: {count:,} tasks; interface in {output / 'interface.xml'}")


def collections(
    words: Annotated[
        list[str] | None, typer.Argument(help="Nothing lists the table; `fetch NAME…` or `fetch all` fetches.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the corpora are kept.")] = Path("outputs/collections"),
    table: Annotated[
        Path | None, typer.Option(help="Another table of collections, a YAML file as train/corpus/collections has.")
    ] = None,
) -> None:
    """Lists public collections of pages, or fetches some by git at pinned commits and converts them to our pages."""
    from train.common.signals import signals_raise
    from train.corpus.collections.conversion import fetch, provenance
    from train.corpus.collections.table import TABLE, read_table
    from train.reports.collections import collection_view, collections_view

    known = read_table(table or TABLE)
    if not words:
        out.print(collections_view(known, {name: provenance(known, name, folder) for name in known.collections}))
        return
    if words[0] != "fetch" or len(words) == 1:
        raise InputError(
            f"collections {' '.join(words)}",
            expected="fetch, and names",
            remedy="python -m train collections fetch all",
            rule="unknown-word",
        )
    with signals_raise():
        for name, made, is_new in fetch(known, words[1:], folder):
            out.print(collection_view(name, made, is_new=is_new), soft_wrap=True)
    out.print(f"the corpora are {folder}/NAME.jsonl.gz, their provenance NAME.json beside them", markup=False)

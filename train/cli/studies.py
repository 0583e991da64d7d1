"""Verbs of studies over many trainings, and of the benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from train.cli import options as opt
from train.cli.options import out
from train.common.errors import InputError


def tune(
    config: opt.Config,
    overrides: opt.Overrides = None,
    n: Annotated[
        int,
        typer.Option(
            "--n", help="Trials in all, those of earlier calls included; several workers may make a few more."
        ),
    ] = 20,
    space: Annotated[Path | None, typer.Option(help="The search space; configs/tune/FAMILY.yaml by default.")] = None,
    output: opt.StudyFolder = None,
    folds: opt.Folds = 3,
    metric: Annotated[str, typer.Option(help="The score to maximise, as `evaluate` names it.")] = "role/macro_f1",
    sampler: Annotated[str, typer.Option(help="tpe models what was tried; random prunes nothing.")] = "tpe",
    workers: Annotated[int, typer.Option(min=1, help="The number of processes that work on it at once.")] = 1,
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="STORAGE",
            help="Database URL of the study, for workers on several machines; one with a password in the environment "
            "alone, as STORAGE=….",
        ),
    ] = None,
    lead: Annotated[str | None, typer.Option("--join", hidden=True, help="The search's MLflow run.")] = None,
    worker: Annotated[int, typer.Option(hidden=True, help="The number of this worker, from 0.")] = 0,
) -> None:
    """Searches settings with Optuna on pages outside the test part; goes on where an earlier search stopped."""
    from train.config.schema import load_config
    from train.reports.search import tuned_view
    from train.studies.search.tune import SearchSpec, join
    from train.studies.search.tune import tune as run

    space = space or Path("configs/tune") / f"{load_config(config, overrides or ()).family}.yaml"
    folder = output or Path("outputs/tune") / config.stem
    search = SearchSpec(config, overrides or (), space, folder, n, folds, metric, sampler, storage)
    if lead is not None:
        return join(search, worker, lead)
    result = run(search, workers=workers)
    out.print(tuned_view(result.trials, result.importances, metric))
    start = "" if result.start is None else f"; the config as it is: {result.start:.4f}"
    out.print(f"best {metric} {result.best:.4f}{start}, on pages outside the test part")
    out.print(f"next: make train CONFIG={result.path}", soft_wrap=True)


def ablate(
    plan: Annotated[Path, typer.Option("--config", help="An ablation as in configs/ablations/*.yaml.")],
    overrides: opt.Overrides = None,
    row: Annotated[str | None, typer.Option(help="Do this row (and the first, to compare with) alone.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="The folder to write to; outputs/ablations/CONFIG by default.")
    ] = None,
    folds: opt.Folds = 5,
    record: opt.Record = False,
) -> None:
    """Cross-validates a config without one part after the other; keeps rows that are done."""
    from train.studies.ablation import ablate as run

    folder = output or Path("outputs/ablations") / plan.stem
    run(plan, overrides or (), folder, count=folds, only=row, save=record)
    _show(folder / "table.md")


def _show(table: Path) -> None:
    """Prints a study's table, and where it is."""
    out.print(table.read_text(encoding="utf-8"), markup=False, soft_wrap=True)
    out.print(f"{table}")


def transfer(
    config: opt.Config,
    corpora: Annotated[list[str], typer.Option("--corpus", help="A corpus, as NAME=PATH; again for each.")],
    overrides: opt.Overrides = None,
    output: opt.StudyFolder = None,
    folds: opt.Folds = 5,
    record: opt.Record = False,
) -> None:
    """Trains on one corpus and tests on another, for every pair and for all together; keeps pairs that are done."""
    from train.config.schema import load_config
    from train.studies.cross_corpus import transfer as run

    named = dict(_pair(text) for text in corpora)
    folder = output or Path("outputs/transfer") / config.stem
    # The paths of --corpus replace the config's own, which need not exist.
    loaded = load_config(config, [*(overrides or ()), f"corpus.path={next(iter(named.values()))}"])
    run(loaded, config.stem, named, folder, count=folds, overrides=overrides or (), save=record)
    _show(folder / "table.md")


def _pair(text: str) -> tuple[str, str]:
    name, equals, path = text.partition("=")
    if not (name.replace("-", "").replace("_", "").isalnum() and equals and path):
        raise InputError(
            f"corpus {text!r}",
            expected="NAME=PATH, the name of letters, digits, - and _",
            remedy="aeb=pages-aeb.jsonl.gz",
        )
    return name, path


def curve(
    config: opt.Config,
    overrides: opt.Overrides = None,
    sizes: Annotated[list[int] | None, typer.Option("--sites", help="Training sites; again for each; 0: all.")] = None,
    goals: Annotated[
        list[str] | None, typer.Option("--goal", help="METRIC=VALUE to read off the fitted curve; again for each.")
    ] = None,
    output: opt.StudyFolder = None,
    folds: opt.Folds = 5,
    record: opt.Record = False,
) -> None:
    """Cross-validates with more and more training sites, and says how many would reach a goal."""
    from train.config.schema import load_config
    from train.studies.learning_curve import curve as run
    from train.studies.learning_curve import power_law

    wished = [_goal(text) for text in goals or ()]
    folder = output or Path("outputs/curve") / config.stem
    points = run(
        load_config(config, overrides or ()),
        config.stem,
        folder,
        sizes=sizes or (10, 20, 40, 80, 0),
        count=folds,
        overrides=overrides or (),
        save=record,
    )
    _show(folder / "table.md")
    for metric, goal in wished:
        law = power_law(points, metric)
        if law is None:
            out.print(f"{metric}: too few sizes to fit a curve")
            continue
        needed = law.sites_for(goal)
        sites = f"{needed:,.0f}" if needed < 1e6 else "more than a million"
        out.print(
            f"{metric}: error falls with sites^-{law.exponent:.2f}; {goal:g} would need {sites} training sites "
            "(extrapolated)"
        )
    out.print(f"{folder / 'curve.html'}, {folder / 'curve.json'}")


def _goal(text: str) -> tuple[str, float]:
    from train.evaluation.metrics import KEY_METRICS

    metric, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = 2.0
    if metric not in KEY_METRICS or not 0 < number < 1:
        raise InputError(
            f"goal {text!r}",
            expected=f"METRIC=VALUE, value between 0 and 1, metric one of {', '.join(KEY_METRICS)}",
            remedy="text/f1=0.95",
        )
    return metric, number


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Output folders of finished runs of the same corpus and split; the first is the reference."
        ),
    ],
    corpus: Annotated[
        str | None, typer.Option(help="Where their corpus lies now; where the first one's config says by default.")
    ] = None,
    output: Annotated[Path, typer.Option("--html", help="The page to write.")] = Path("outputs/compare.html"),
) -> None:
    """Compares runs on their test pages: scores, paired differences with intervals over sites, cost, and what they read
    differently."""
    from train.reports.comparison import compared_view, write_comparison
    from train.studies.comparison import attach_comparison, compare_runs

    compared = compare_runs(runs, corpus=corpus)
    write_comparison(output, compared)
    out.print(compared_view(compared))
    out.print(f"{output}", markup=False)
    try:
        out.print(f"added to {attach_comparison(output, compared)} of the runs in MLflow")
    except InputError as error:
        out.print(f"not added to the runs in MLflow: {error}", markup=False)


def benchmark(
    corpus: Annotated[
        str,
        typer.Option(help="A benchmark that gives HTML and gold text: aeb:FOLDER, wcxb:FOLDER or cleaneval:FOLDER."),
    ],
    model: Annotated[
        str | None, typer.Option(help="Labels the blocks of each page; pages of sites it learnt from are left out.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="In place of a model: records of the same pages, e.g. those of `make crossval`.")
    ] = None,
    pages: Annotated[
        str | None, typer.Option(help="The corpus that the records are of, to find pages by their addresses.")
    ] = None,
    lang: Annotated[str | None, typer.Option(help="Pages of this language alone, e.g. en.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="The folder to write to; outputs/benchmark/SOURCE by default.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="The number of bootstrap resamples of sites.")] = 1000,
    seed: Annotated[int, typer.Option(help="The seed of the bootstrap.")] = 0,
    record: opt.Record = False,
) -> None:
    """Scores a model's main text beside extractors that read the HTML of the same pages (`make extractors` installs
    them)."""
    from train.studies.extractor_benchmark import benchmark as run
    from train.studies.main_texts import ModelTexts, RecordTexts

    if (model is None) == (records is None):
        raise InputError(
            "neither model nor records" if model is None else "both a model and records",
            expected="one of them",
            remedy="MODEL=outputs/RUN, or RECORDS=outputs/crossval/CONFIG/records.jsonl.gz PAGES=CORPUS",
        )
    texts = ModelTexts(model) if model is not None else RecordTexts(cast(Path, records), pages)
    folder = output or Path("outputs/benchmark") / corpus.partition(":")[0]
    given = {
        "CORPUS": corpus,
        "MODEL": model or "",
        "RECORDS": str(records or ""),
        "PAGES": pages or "",
        "LANGUAGE": lang or "",
    }
    table = run(corpus, texts, folder, variables=given, language=lang, samples=samples, seed=seed, save=record)
    _show(table)


def bench(
    sections: Annotated[
        list[str] | None,
        typer.Option("--section", help="growth, baseline, neighbours or serving; again for each (all)."),
    ] = None,
    sizes: Annotated[
        list[int] | None,
        typer.Option("--segments", help="Sizes of the corpora of growth; again for each (10,000, 100,000, 1,000,000)."),
    ] = None,
    steps: Annotated[list[str] | None, typer.Option("--step", help="What grows; again for each (all).")] = None,
    model: Annotated[Path, typer.Option(help="An encoder's output folder, for neighbours.")] = Path(
        "outputs/demo-encoder"
    ),
    rounds: Annotated[int, typer.Option(help="The number of rounds of each comparison that count.")] = 5,
    folder: Annotated[Path, typer.Option(help="Where corpora and results go.")] = Path("outputs/bench"),
    record: opt.Record = False,
) -> None:
    """Measures models beside the usual way, and time and memory as a corpus grows."""
    from train.bench.run import report

    for path, text in report(folder, sections or (), sizes or (), steps or (), model, rounds, save=record):
        out.print(text, markup=False)
        out.print(f"{path}\n")


def results(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 when a table is stale.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the records are.")] = Path("configs/results"),
    root: Annotated[Path, typer.Option(help="The checkout whose Markdown files hold the tables.")] = Path(),
) -> None:
    """Renders the tables of the documents from what commands measured and kept with --record."""
    from train.studies.result_tables import tables
    from train.studies.results import read_records, update

    stale = update(root, tables(read_records(folder)), write=not check)
    for path in stale:
        out.print(f"{path}: {'stale' if check else 'rendered'}", markup=False)
    if not stale:
        out.print("every table is what the records say")
    if check and stale:
        raise typer.Exit(1)

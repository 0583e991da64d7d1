"""Verbs of training: demo, fit, crossval, evaluate, and the MLflow that tracks it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from train.cli import options as opt
from train.cli.options import out
from train.common.errors import InputError


def demo(
    short: Annotated[bool, typer.Option("--short", help="A quarter of the pages, in outputs/short; for CI.")] = False,
    record: opt.Record = False,
) -> None:
    """The whole chain on the embedded corpus; redoes only what its inputs changed."""
    from train.demo import FULL, SHORT, run

    if short and record:
        raise InputError("both --short and --record", expected="one of them", remedy="record the demo of full size")
    run(out, SHORT if short else FULL, save=record)


def crossval(
    config: opt.Config,
    overrides: opt.Overrides = None,
    output: opt.StudyFolder = None,
    folds: opt.Folds = 5,
    slice_by: opt.Slice = None,
    record: opt.Record = False,
) -> None:
    """Scores a config on every page, by models that have not seen the page's site; with 95 % intervals over sites."""
    from train.config.schema import load_config
    from train.reports.run_report import scores_view
    from train.studies.results import save_cross_validation
    from train.training.crossval import cross_validate

    folder, loaded = output or Path("outputs/crossval") / config.stem, load_config(config, overrides or ())
    result = cross_validate(loaded, config.stem, folder, count=folds, slice_by=slice_by)
    if record:
        save_cross_validation(result, loaded, config, overrides or (), count=folds, slice_by=slice_by)
    whole = result.whole
    out.print(
        scores_view(f"{config.stem}: {whole.n_pages:,} pages of {whole.n_sites:,} unseen sites", whole, result.slices)
    )
    sure = result.reliability
    out.print(
        f"calibrated role probabilities: ECE {sure['ece']:.4f}, Brier {sure['brier']:.4f}, the surest half "
        f"{sure['coverage']['50%']:.1%} right"
    )
    out.print(f"{folder / 'crossval.json'}, records in {folder / 'records.jsonl.gz'}")


def pretrain(
    config: opt.Config = Path("configs/pretraining.yaml"),
    overrides: opt.Overrides = None,
    folder: Annotated[Path, typer.Option(help="Where the collections were fetched to.")] = Path("outputs/collections"),
) -> None:
    """Trains the page reader that comes with the package on the public collections, and puts it there."""
    from train.config.schema import load_config
    from train.corpus.collections.table import read_table
    from train.studies.pretraining import pretrain as run

    out.print(f"{run(load_config(config, overrides or ()), config.stem, read_table(), folder)}", soft_wrap=True)


def fit(config: opt.Config, overrides: opt.Overrides = None) -> None:
    """Trains one model; goes on where a killed run of the same config, corpus and code stopped."""
    from train.config.schema import load_config
    from train.reports.comparison import metrics_view
    from train.training.recipe import fit as run

    outcome = run(load_config(config, overrides or ()), name=config.stem, overrides=overrides or ())
    out.print(metrics_view([(config.stem, outcome.metrics)], "Test pages"))
    out.print(f"model    {outcome.output} (--model {outcome.output})")
    if outcome.run_id:
        from train.tracking.store import shown_uri

        out.print(
            f"mlflow   run {outcome.run_id}, model {outcome.model_uri}, store {shown_uri()} (make ui)", soft_wrap=True
        )


def configs(folder: Annotated[Path, typer.Option(help="The shipped configs.")] = Path("configs")) -> None:
    """Writes the comments of the shipped configs, and the reference of their keys, as the schema has them."""
    from train.common.files import write_text
    from train.config.reference import documents
    from train.registry.gate import Gate

    for path, text in documents(folder, Gate).items():
        write_text(path, text)
        out.print(path)


def evaluate(
    model: opt.Model,
    corpus: Annotated[str, typer.Option(help="Labelled pages.")],
    json_: Annotated[Path, typer.Option("--json", help="Where to write the scores.")],
    part: Annotated[
        str | None,
        typer.Option(help="Score this part alone of the split the model was trained with: train, validation or test."),
    ] = None,
    slice_by: opt.Slice = None,
    known_stories: Annotated[
        bool,
        typer.Option(
            "--known-stories", help="Score topics alone, of the labelled stories: as if their borders were known."
        ),
    ] = False,
    samples: Annotated[int, typer.Option(help="The number of bootstrap resamples of sites.")] = 1000,
    seed: Annotated[int, typer.Option(help="The seed of the bootstrap.")] = 0,
    record: opt.Record = False,
) -> None:
    """Scores a model on labelled pages, with 95 % intervals over sites."""
    from train.common.console import console
    from train.common.files import write_json
    from train.common.generation import finished_run
    from train.corpus.loading import part_of_run
    from train.corpus.read import read_pages
    from train.corpus.sources import digest
    from train.evaluation.model_scores import score_model
    from train.inference.resolve import PRETRAINED, load_labeler
    from train.models.pretrained import DEFAULT, warnings_of
    from train.reports.run_report import scores_view
    from train.training.outcome import require_of_run, run_corpus_sha256

    run = Path(model) if part is None else finished_run(Path(model))
    pages = read_pages(corpus) if part is None else part_of_run(run, part, corpus, sha256=run_corpus_sha256(run))
    labeler = load_labeler(model if part is None else str(run))
    if part is not None:
        require_of_run(run, labeler.version)
    if model == PRETRAINED:
        for warning in warnings_of(DEFAULT, (page.site for page in pages)):
            console.print(f"warning: {warning}", style="yellow", markup=False)
    report, slices = score_model(
        labeler, pages, slice_by=slice_by, known_stories=known_stories, samples=samples, seed=seed
    )
    named = {"name": labeler.name, "version": labeler.version, "family": labeler.family}
    sliced = {value: scores.to_json() for value, scores in slices.items()}
    write_json(
        json_, report.to_json(corpus=str(corpus), corpus_sha256=digest(corpus), part=part, model=named, slices=sliced)
    )
    of = f"{part} part, pages" if part else "pages"
    out.print(
        scores_view(
            f"{labeler.family} {labeler.version}: {report.n_pages:,} {of} of {report.n_sites:,} sites", report, slices
        )
    )
    out.print(f"scores are in {json_}")
    if record:
        from train.studies.results import save_scores
        from train.studies.tables import make_command

        variables = {"MODEL": model, "CORPUS": corpus, "SLICE": slice_by or "", "PART": part or ""}
        command = make_command("evaluate", variables=variables)
        save_scores(model, report, slices, slice_by=slice_by, command=command, corpus_sha256=digest(corpus))


def send(
    model: Annotated[Path, typer.Option("--model", help="The output folder of a run while which MLflow was away.")],
) -> None:
    """Sends MLflow what it was not told of a run because it was away."""
    from train.training.outcome import send_pending

    sent, uri = send_pending(model)
    out.print(f"{sent} things sent" + (f"; its model is {uri}" if uri else ""), markup=False)


def ui(host: opt.Host = "127.0.0.1", port: opt.Port = 5000) -> None:
    """Opens MLflow on the runs; of a tracking server, only tells where it shows them."""
    from train.common.addresses import sqlite_file
    from train.tracking.store import EXPERIMENT, connect, runs_page, shown_uri, tracking_uri

    uri = tracking_uri()
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        raise InputError(
            "no runs yet",
            expected="a store that a run has made",
            remedy="run make demo first",
            path=file,
            rule="no-store",
        )
    page = runs_page(connect())
    if uri.startswith("http"):
        out.print(f"{shown_uri().rstrip('/')}/{page}", soft_wrap=True, markup=False)
        return
    out.print(
        f"MLflow, experiment {EXPERIMENT}: http://{host}:{port}/{page}\nCtrl-C ends it", soft_wrap=True, markup=False
    )
    become_mlflow("ui", "--host", host, "--port", str(port), store=uri)


def server(
    store: Annotated[
        str,
        typer.Option(
            envvar="STORE", help="Database URI of the runs; one with a password in the environment alone, as STORE=…."
        ),
    ] = "",
    folder: Annotated[Path, typer.Option(help="For artifacts, accounts and the administrator's password.")] = Path(
        "outputs/server"
    ),
    host: Annotated[
        str, typer.Option(help="127.0.0.1 is this machine alone; put a proxy with TLS before it for others.")
    ] = "127.0.0.1",
    port: opt.Port = 5000,
    workers: Annotated[int, typer.Option(min=1, help="The number of processes.")] = 2,
) -> None:
    """Starts an MLflow server for a team: accounts with passwords, artifacts through the server, bound to this machine
    unless told otherwise."""
    import secrets

    from train.common.addresses import sqlite_uri
    from train.common.files import write_text

    os.umask(0o077)  # whatever the server writes is its own account's alone, also in a folder that was there
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            path.chmod(0o600)
    kept: dict[str, str] = {}
    for variable, name in (
        ("MLFLOW_AUTH_ADMIN_PASSWORD", "admin-password"),
        ("MLFLOW_FLASK_SERVER_SECRET_KEY", "secret-key"),
    ):
        path = folder / name
        if not path.is_file():
            write_text(path, os.environ.get(variable) or secrets.token_urlsafe(24))
        kept[variable] = path.read_text(encoding="utf-8")
    database = sqlite_uri(folder / "accounts.db").replace("%", "%%")  # in such a file, %% stands for %
    accounts = f"[mlflow]\ndefault_permission = EDIT\ndatabase_uri = {database}\nadmin_username = admin\n"
    accounts += "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    write_text(folder / "accounts.ini", accounts)
    os.environ.update(kept, MLFLOW_AUTH_CONFIG_PATH=str(folder / "accounts.ini"))
    out.print(
        f"MLflow for a team: http://{host}:{port}, user admin, first password in {folder / 'admin-password'}\n"
        f"export MLFLOW_TRACKING_URI=http://{host}:{port} MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…",
        soft_wrap=True,
        markup=False,
    )
    become_mlflow(
        "server",
        "--app-name=basic-auth",
        f"--artifacts-destination={(folder / 'artifacts').as_uri()}",
        f"--host={host}",
        f"--port={port}",
        f"--workers={workers}",
        store=store or sqlite_uri(folder / "mlflow.db"),
    )


def become_mlflow(*arguments: str, store: str = "") -> None:
    """Becomes the `mlflow` command: its signals and its exit code are ours.

    Args:
        arguments: The command's words.
        store: The database that it serves, which may hold a password and so is no word of the command.
    """
    from train.tracking.plain_paths import find_mlflow
    from train.tracking.store import tracking_uri

    find_mlflow()
    sys.stdout.flush()
    # MLflow starts uvicorn by its name, which must be found though the environment was not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {
        **os.environ,
        "PATH": path,
        "MLFLOW_TRACKING_URI": tracking_uri(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        **({"MLFLOW_BACKEND_STORE_URI": store} if store else {}),
    }
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments], environment)

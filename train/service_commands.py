"""Verbs for models at work and for who looks at them: export, serve, MLflow's UI, label many pages, look for drift."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from train.command_line import ColumnsOption, CorpusArgument, ModelOption, app, out
from train.errors import InputError


@app.command()
def export(model: ModelOption, output: Annotated[Path, typer.Option(help="The folder of the bundle.")] = Path("outputs/bundle")) -> None:
    """Copies a model's bundle to a folder of its own, after checking every file and what it answers on golden pages."""
    from train.export.bundle import copy_bundle, size_mb
    from train.labelling import load_labeler
    from train.registry import bundle_folder
    from train.runtime import golden

    source = bundle_folder(model)
    differences = golden.differences(load_labeler(str(source)), source)
    if differences:
        raise InputError(
            f"{len(differences)} answers on golden pages are not those of its training, first {differences[0]}", expected="the same answers",
            remedy="export on a machine like the one it was trained on, or train it again here", path=source, rule="no-parity",
        )  # fmt: skip
    manifest = copy_bundle(source, output)
    out.print(
        f"{output}: {manifest['family']} {manifest['version']}, {size_mb(output):.1f} MB; pip install -r {output}/requirements.txt",
        markup=False,
    )


@app.command()
def serve(
    model: Annotated[str, typer.Option("--model", help="A URI of the registry.")] = "models:/newsparts@champion",
    host: Annotated[str, typer.Option(help="127.0.0.1 is this machine alone; the server asks nobody for a password.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="To listen on.")] = 5001,
    workers: Annotated[int, typer.Option(help="Processes, each with a model of its own.")] = 1,
) -> None:
    """Serves a model over HTTP by `mlflow models serve`; POST /invocations takes pages, GET /ping says whether it is well."""
    from train.registry import bundle_folder

    if ":/" not in model:
        raise InputError(
            f"a folder, {model}", expected="a URI such as models:/newsparts@champion or models:/m-…", rule="no-uri",
            remedy="register the run's model (make register, make promote), or serve a bundle by the README's service",
        )  # fmt: skip
    bundle_folder(model)  # a clear error before a server is started
    out.print(f"{model} on http://{host}:{port}/invocations; Ctrl-C ends it", soft_wrap=True, markup=False)
    _become_mlflow("models", "serve", "-m", model, "--env-manager", "local", "-h", host, "-p", str(port), "-w", str(workers))


@app.command()
def ui(
    host: Annotated[str, typer.Option(help="127.0.0.1 is this machine alone; the UI asks nobody for a password.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="To listen on.")] = 5000,
) -> None:
    """Opens MLflow on the runs; of a tracking server, only tells where it shows them."""
    from train.tracking import EXPERIMENT, connect, runs_page, tracking_uri

    uri = tracking_uri()
    file = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not file.is_file():
        raise InputError("no runs yet", expected="a store that a run has made", remedy="run make demo first", path=file, rule="no-store")
    page = runs_page(connect())
    if uri.startswith("http"):
        out.print(f"{uri.rstrip('/')}/{page}", soft_wrap=True, markup=False)
        return
    out.print(f"MLflow, experiment {EXPERIMENT}: http://{host}:{port}/{page}\nCtrl-C ends it", soft_wrap=True, markup=False)
    _become_mlflow("ui", "--backend-store-uri", uri, "--host", host, "--port", str(port))


@app.command()
def server(
    store: Annotated[str, typer.Option(help="Database URI of the runs, e.g. postgresql://user:password@host/newsparts.")] = "",
    folder: Annotated[Path, typer.Option(help="For artifacts, accounts and the administrator's password.")] = Path("outputs/server"),
    host: Annotated[str, typer.Option(help="127.0.0.1 is this machine alone; put a proxy with TLS before it for others.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="To listen on.")] = 5000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Starts an MLflow server for a team: accounts with passwords, artifacts through the server, bound to this machine unless told otherwise."""
    import secrets

    from train.files import write_text

    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept: dict[str, str] = {}
    for variable, name in (("MLFLOW_AUTH_ADMIN_PASSWORD", "admin-password"), ("MLFLOW_FLASK_SERVER_SECRET_KEY", "secret-key")):
        path = folder / name
        if not path.is_file():
            write_text(path, os.environ.get(variable) or secrets.token_urlsafe(24))
            path.chmod(0o600)
        kept[variable] = path.read_text(encoding="utf-8")
    accounts = f"[mlflow]\ndefault_permission = EDIT\ndatabase_uri = sqlite:///{folder / 'accounts.db'}\nadmin_username = admin\n"
    accounts += "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    write_text(folder / "accounts.ini", accounts)
    os.environ.update(kept, MLFLOW_AUTH_CONFIG_PATH=str(folder / "accounts.ini"))
    out.print(
        f"MLflow for a team: http://{host}:{port}, user admin, first password in {folder / 'admin-password'}\n"
        f"export MLFLOW_TRACKING_URI=http://{host}:{port} MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…", soft_wrap=True, markup=False,
    )  # fmt: skip
    _become_mlflow(
        "server", "--app-name", "basic-auth", "--backend-store-uri", store or f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination",
        str(folder / "artifacts"), "--host", host, "--port", str(port), "--workers", str(workers),
    )  # fmt: skip


def _become_mlflow(*arguments: str) -> None:
    from train.tracking import tracking_uri

    sys.stdout.flush()
    # MLflow starts uvicorn by its name, which must be found though the environment was not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": tracking_uri(), "MLFLOW_DISABLE_TELEMETRY": "true"}
    os.execve(sys.executable, [sys.executable, "-m", "mlflow", *arguments], environment)


@app.command()
def label(
    model: ModelOption,
    corpus: CorpusArgument,
    output: Annotated[Path, typer.Option(help="The folder of the Parquet parts.")],
    columns: ColumnsOption = "",
    pages_a_part: Annotated[int, typer.Option(min=1, help="Pages in a part: what a killed run loses at most.")] = 1000,
) -> None:
    """Labels a corpus of any size into Parquet parts, in order, each page once; run again, it goes on where it stopped."""
    from train.bulk import label_corpus
    from train.corpus.naming import Naming
    from train.labelling import load_labeler

    found = label_corpus(load_labeler(model), corpus, output, naming=Naming.parse(columns, ""), pages_a_part=pages_a_part)
    known = f", {found.known:,} of them before" if found.known else ""
    refused = f"; {found.refused:,} refused, see {output}/_refused-*.jsonl" if found.refused else ""
    out.print(f"{output}: {found.labelled:,} of {found.lines:,} pages labelled{known}{refused}", markup=False, soft_wrap=True)
    if not found.labelled:
        raise typer.Exit(1)


@app.command()
def drift(
    model: ModelOption,
    corpus: CorpusArgument,
    output: Annotated[Path, typer.Option(help="The page to write.")] = Path("outputs/drift.html"),
    columns: ColumnsOption = "",
) -> None:
    """Compares new pages with those the model was tested on; exit code 1 when they have shifted, so that cron can tell."""
    from train.corpus.naming import Naming
    from train.corpus.read import Corpus
    from train.drift import check_drift
    from train.reports.drift_report import write_drift_page
    from train.reports.terminal import drift_view

    found = check_drift(model, Corpus(corpus, Naming.parse(columns, ""), labelled=None))
    write_drift_page(output, found.shifts, model=found.model, corpus=corpus, pages=found.pages, sites=found.sites)
    out.print(drift_view(found))
    out.print(f"{output}", markup=False)
    if any(shift.shifted for shift in found.shifts):
        raise typer.Exit(1)

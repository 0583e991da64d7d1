"""Verbs of the model registry: register, promote, rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.command_line import Overrides, app, out
from train.errors import InputError
from train.outbox import UNSENT


@app.command()
def register(model: Annotated[Path, typer.Option("--model", help="The output folder of a finished fit.")]) -> None:
    """Registers the model of a finished run and makes it the challenger."""
    from train.recipe import read_outcome
    from train.registry import register_outcome

    outcome = read_outcome(model)
    if outcome.model_uri is None:
        raise InputError(
            "its model is not in MLflow", expected="a run with tracking.enabled=true, told to MLflow to its end", path=model, rule="no-model",
            remedy=f"make send MODEL={model}, where MLflow was away (there is {UNSENT}); else train it again",
        )  # fmt: skip
    made = register_outcome(outcome)
    said = "" if made.was_new else ", which it was already"
    out.print(f"{made.uri} is version {made.version}{said}; make promote lets it serve when it passes the gate")


@app.command()
def send(model: Annotated[Path, typer.Option("--model", help="The output folder of a run while which MLflow was away.")]) -> None:
    """Sends MLflow what it was not told of a run because it was away."""
    from train.recipe import send_kept

    sent, uri = send_kept(model)
    out.print(f"{sent} things sent" + (f"; its model is {uri}" if uri else ""), markup=False)


@app.command()
def promote(
    overrides: Overrides = None,
    version: Annotated[str, typer.Option(help="Alias or number of the version that is to serve.")] = "challenger",
    gate: Annotated[Path, typer.Option(help="What it must show.")] = Path("configs/registry/gate.yaml"),
    corpus: Annotated[str | None, typer.Option(help="Where the corpus of its run lies now; where its config says by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")] = False,
    force: Annotated[str | None, typer.Option(help="Promote it whatever the gate says; why is kept on the version.")] = None,
) -> None:
    """Makes a version the champion when it passes the gate; exit code 1 when it does not."""
    if force is not None and not force.strip():
        raise InputError("no reason", expected='--force "why"', remedy="say why it is to serve all the same", rule="no-reason")
    from train.gate import Gate
    from train.promote import run
    from train.reports.terminal import gate_view
    from train.settings import read_settings

    decision = run(read_settings(Gate, gate, overrides or ()), which=version, corpus=corpus, dry=dry_run, forced=force)
    out.print(gate_view(decision, dry=dry_run))
    if not decision.passed:
        raise typer.Exit(1)


@app.command()
def rollback() -> None:
    """Lets the version serve again that served before the champion."""
    from train.registry import rollback as run

    gone, back = run()
    out.print(f"version {back} is the champion again; version {gone} was")

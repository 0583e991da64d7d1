"""Verbs of models: export, register, promote, rollback."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.cli import options as opt
from train.cli.options import out
from train.common.errors import InputError
from train.tracking.outbox import UNSENT


def register(model: Annotated[Path, typer.Option("--model", help="The output folder of a finished fit.")]) -> None:
    """Registers the model of a finished run and makes it the challenger."""
    from train.registry.versions import register_outcome
    from train.training.outcome import read_outcome

    outcome = read_outcome(model)
    if outcome.model_uri is None:
        raise InputError(
            "its model is not in MLflow",
            expected="a run with tracking.enabled=true, told to MLflow to its end",
            path=model,
            rule="no-model",
            remedy=f"make send MODEL={model}, where MLflow was away (there is {UNSENT}); else train it again",
        )
    made = register_outcome(outcome)
    said = "" if made.was_new else ", which it was already"
    out.print(f"{made.uri} is version {made.version}{said}; make promote lets it serve when it passes the gate")


def promote(
    overrides: opt.Overrides = None,
    version: Annotated[str, typer.Option(help="Alias or number of the version that is to serve.")] = "challenger",
    gate: Annotated[Path, typer.Option(help="The YAML file of its limits.")] = Path("configs/registry/gate.yaml"),
    corpus: Annotated[
        str | None, typer.Option(help="Where the corpus of its run lies now; where its config says by default.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")] = False,
    force: Annotated[
        str | None, typer.Option(help="Why to promote it whatever the gate says; kept on the version.")
    ] = None,
) -> None:
    """Makes a version the champion when it passes the gate; exit code 1 when it does not."""
    if force is not None and not force.strip():
        raise InputError(
            "no reason", expected='--force "why"', remedy="say why it is to serve all the same", rule="no-reason"
        )
    from train.config.loader import read_settings
    from train.registry.gate import Gate
    from train.registry.promotion import gate_view, run

    decision = run(read_settings(Gate, gate, overrides or ()), which=version, corpus=corpus, dry=dry_run, forced=force)
    out.print(gate_view(decision, dry=dry_run))
    if not decision.accepted:
        raise typer.Exit(1)


def rollback() -> None:
    """Lets the version serve again that served before the champion."""
    from train.registry.champion import rollback as run

    gone, back = run()
    out.print(f"version {back} is the champion again; version {gone} was")


def export(
    model: opt.Model, output: Annotated[Path, typer.Option(help="The folder of the bundle.")] = Path("outputs/bundle")
) -> None:
    """Copies a model's bundle to a folder of its own, after checking every file and what it answers on golden pages."""
    from train.common.files import sha256_file
    from train.export.bundle import copy_bundle, size_mb
    from train.inference.resolve import bundle_folder, load_labeler
    from train.runtime import golden
    from train.runtime.manifest import MANIFEST

    source = bundle_folder(model)
    differences = golden.differences(load_labeler(str(source)), source)
    if differences:
        raise InputError(
            f"{len(differences)} answers on golden pages are not those of its training, first {differences[0]}",
            expected="the same answers",
            remedy="export on a machine like the one it was trained on, or train it again here",
            path=source,
            rule="no-parity",
        )
    manifest = copy_bundle(source, output)
    out.print(
        f"{output}: {manifest['family']} {manifest['version']}, {size_mb(output):.1f} MB; pip install -r "
        f"{output}/requirements.txt",
        markup=False,
    )
    out.print(f"sha256   {sha256_file(output / MANIFEST)} (Labeler.load(folder, sha256=…) takes no other bundle)")

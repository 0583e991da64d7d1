"""The command line: every verb, by the stage of a model's life it belongs to."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Any

import typer

from train.cli import data, inference, models, studies, training
from train.common.addresses import has_password
from train.common.console import console
from train.common.errors import InputError, refusal_of_the_disk
from train.common.signals import Interrupted

VERBS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Data": (
        data.compose,
        data.sources,
        data.collections,
        data.check,
        data.corpus_report,
        data.corpus_statistics,
        data.topics,
        data.split,
        data.leakage,
        data.label_errors,
        data.suggest,
        data.label_studio,
    ),
    "Training": (
        training.demo,
        training.fit,
        training.configs,
        training.pretrain,
        training.crossval,
        training.evaluate,
        training.send,
        training.ui,
        training.server,
    ),
    "A model at work": (
        inference.predict,
        inference.show,
        inference.explain,
        inference.label,
        inference.serve,
        inference.drift,
    ),
    "Models": (models.export, models.register, models.promote, models.rollback),
    "Studies": (
        studies.tune,
        studies.ablate,
        studies.transfer,
        studies.curve,
        studies.compare,
        studies.benchmark,
        studies.bench,
        studies.results,
    ),
}
"""Stage -> its verbs, each named after its function."""
OLD_NAMES = {"beside": studies.benchmark}
"""Names that verbs had before, which still work and are not shown."""


def application() -> typer.Typer:
    """The command line with every verb."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="`python -m train VERB`: each verb is one function elsewhere.",
    )
    for stage, verbs in VERBS.items():
        for verb in verbs:
            app.command(rich_help_panel=stage)(verb)
    for name, verb in OLD_NAMES.items():
        app.command(name, hidden=True)(verb)
    return app


def _refuse_passwords(words: list[str]) -> None:
    if any(has_password(word) for word in words):
        raise InputError(
            "a password on the command line, where every account of this machine reads it",
            expected="an address with a password in the environment alone",
            remedy="change the password; then STORE=…, STORAGE=… or MLFLOW_TRACKING_URI=… before the command",
            rule="password-shown",
        )


def main() -> int:
    """Runs the command line; returns the exit code. Errors of the user's input are told without a traceback, with code
    2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    # Threads that wait sleep, set before OpenMP is loaded: spinning takes cores from whoever works beside.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):
        # Text of pages may hold what the terminal's encoding cannot say.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _refuse_passwords(sys.argv[1:])
        code = application()(standalone_mode=False)
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

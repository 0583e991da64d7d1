"""What the verbs of the command line share: the application, where answers go, and options that several verbs have."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
# Threads that wait sleep, before OpenMP is loaded: spinning takes cores from whoever works beside.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import typer
from rich.console import Console

for stream in (sys.stdout, sys.stderr):
    # Text of pages may hold what the terminal's encoding cannot say.
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="`python -m train VERB`: each verb is one function elsewhere.",
)
out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)

ModelOption = Annotated[str, typer.Option("--model", help="A bundle, a run's output folder, or a URI: models:/newsparts@champion.")]
CorpusArgument = Annotated[str, typer.Argument(help="A .jsonl, .jsonl.gz, .parquet, .csv or .tsv corpus, or SOURCE:PATH (see `sources`).")]
ColumnsOption = Annotated[str, typer.Option(help='Their columns and keys, e.g. "content=text domain=site".')]
RolesOption = Annotated[str, typer.Option(help='Their labels, e.g. "article=main teaser=related".')]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value overrides, e.g. seed=7 corpus.path=my.jsonl")]
ConfigOption = Annotated[Path, typer.Option("--config", help="A YAML file as in configs/.")]
SliceOption = Annotated[
    str | None, typer.Option("--slice", help="A key of pages whose values are scored apart too: lang, source, related, …")
]

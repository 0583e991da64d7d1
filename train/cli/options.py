"""What the verbs share: where answers go, and options that several verbs have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
Model = Annotated[
    str,
    typer.Option("--model", help="A bundle, a run's output folder, a URI (models:/newsparts@champion), or pretrained."),
]
Corpus = Annotated[
    str, typer.Argument(help="A .jsonl, .jsonl.gz, .parquet, .csv or .tsv corpus, or SOURCE:PATH (see `sources`).")
]
Columns = Annotated[str, typer.Option(help='Their columns and keys, e.g. "content=text domain=site".')]
Roles = Annotated[str, typer.Option(help='Their labels, e.g. "article=main teaser=related".')]
Unlabelled = Annotated[bool, typer.Option("--unlabelled", help="Pages need neither roles nor sites.")]
Quarantine = Annotated[Path, typer.Option(help="The file that what is refused goes to.")]
Files = Annotated[
    list[str], typer.Argument(help=".txt (a segment a line), - (standard input), .jsonl, .jsonl.gz or .parquet")
]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value overrides, e.g. seed=7 corpus.path=my.jsonl")]
Config = Annotated[Path, typer.Option("--config", help="A YAML file as in configs/.")]
Folder = Annotated[Path, typer.Option(help="The folder to write to.")]
StudyFolder = Annotated[Path | None, typer.Option(help="The folder to write to; outputs/VERB/CONFIG by default.")]
Folds = Annotated[int, typer.Option(help="The number of folds of the cross-validation, by site.")]
Slice = Annotated[
    str | None,
    typer.Option("--slice", help="A key of pages whose values are scored apart too: lang, source, related, …"),
]
Record = Annotated[
    bool, typer.Option("--record", help="Keep what is measured in configs/results, for the documents' tables.")
]
Host = Annotated[str, typer.Option(help="127.0.0.1 is this machine alone; nobody is asked for a password.")]
Port = Annotated[int, typer.Option(help="The port to listen on.")]

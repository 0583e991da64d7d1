"""What the verbs share: where answers go, and options that several verbs have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

out = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
ModelOption = Annotated[
    str, typer.Option("--model", help="A bundle, a run's output folder, or a URI: models:/newsparts@champion.")
]
CorpusArgument = Annotated[
    str, typer.Argument(help="A .jsonl, .jsonl.gz, .parquet, .csv or .tsv corpus, or SOURCE:PATH (see `sources`).")
]
ColumnsOption = Annotated[str, typer.Option(help='Their columns and keys, e.g. "content=text domain=site".')]
RolesOption = Annotated[str, typer.Option(help='Their labels, e.g. "article=main teaser=related".')]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value overrides, e.g. seed=7 corpus.path=my.jsonl")]
ConfigOption = Annotated[Path, typer.Option("--config", help="A YAML file as in configs/.")]
SliceOption = Annotated[
    str | None,
    typer.Option("--slice", help="A key of pages whose values are scored apart too: lang, source, related, …"),
]
RecordOption = Annotated[
    bool, typer.Option("--record", help="Keep what is measured in configs/results, for the documents' tables.")
]

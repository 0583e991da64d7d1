"""`make pretrained`: trains the page reader that comes with the package on the public collections, and puts it there.

Pages of the collections that it is to be scored on are kept out, and with them every page of one of their sites or with
one of their passages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.common.console import console
from train.common.errors import InputError
from train.common.files import sha256_json, write_text
from train.common.markdown import table as markdown
from train.config.schema import Config
from train.corpus.collections.conversion import provenance
from train.corpus.collections.table import Table
from train.corpus.loading import drop_overlapping
from train.corpus.page import Page
from train.corpus.read import read_pages, write_pages
from train.corpus.training_data import site_names
from train.models.encoder.page_reader import PageReader
from train.models.pretrained import CARD, DEFAULT, folder_of
from train.training.recipe import fit
from train.training.resume import finished

KEPT_OUT = ("aeb", "fundus")
"""The collections whose pages, sites and passages the page reader never sees: it is scored on them. So are those that
are not for pretraining."""
HEADER = ("collection", "commit", "licence", "pages", "sites")


@dataclass(frozen=True)
class Gathered:
    """What is learnt from.

    Args:
        pages: The pages.
        sources: The card's row of each collection: name, commit, licence, pages and sites that are learnt from.
        left_out: Why pages of the collections are not learnt from -> how many.
    """

    pages: list[Page]
    sources: list[list[str]]
    left_out: dict[str, int]


def gather(table: Table, folder: Path, kept_out: Sequence[str] = KEPT_OUT) -> Gathered:
    """Reads what was fetched of the collections that may be learnt from.

    Args:
        table: The collections.
        folder: Where they were fetched to.
        kept_out: Those that it is scored on.

    Raises:
        InputError: One was not fetched.
    """
    names = list(table.collections)
    kept_out = [name for name in names if name in kept_out or not table.collections[name].pretraining]
    missing = [name for name in names if provenance(table, name, folder) is None]
    if missing:
        raise InputError(
            f"not fetched yet: {', '.join(missing)}",
            expected=f"every collection in {folder}",
            remedy="run `make collections` first",
            rule="no-collection",
        )
    unseen = [page for name in kept_out for page in read_pages(folder / f"{name}.jsonl.gz")]
    sites = {name for page in unseen for name in site_names(page)}
    pages, sources, texts = [], [], set()
    left_out = dict.fromkeys(("of a site that it is scored on", "with a passage of such a page", "the same text"), 0)
    for name in names:
        if name in kept_out:
            continue
        read = list(read_pages(folder / f"{name}.jsonl.gz"))
        others = [page for page in read if not sites & site_names(page)]
        apart = drop_overlapping(others, {"test": unseen})
        own = []
        for page in apart:
            if (text := sha256_json(page.texts)) not in texts:
                texts.add(text)
                own.append(replace(page, page_id=f"{name}/{page.page_id}"))
        for why, count in zip(
            left_out, (len(read) - len(others), len(others) - len(apart), len(apart) - len(own)), strict=True
        ):
            left_out[why] += count
        collection = table.collections[name]
        sources.append(
            [
                f"[{name}]({collection.repository})",
                f"`{collection.commit[:12]}`",
                collection.licence,
                f"{len(own):,}",
                f"{len({page.site for page in own}):,}",
            ]
        )
        pages += own
    return Gathered(pages, sources, left_out)


def pretrain(config: Config, name: str, table: Table, folder: Path, *, package: Path | None = None) -> Path:
    """Trains the page reader on the collections and puts it, with its card, where the package keeps it.

    Args:
        config: The model; `corpus.path` is written.
        name: What the config is called.
        table: The collections.
        folder: Where they were fetched to.
        package: Where the page reader is put; into the package by default.

    Returns:
        The folder of the page reader.

    Raises:
        InputError: A collection was not fetched, or the config names no corpus to write.
    """
    target = folder_of(DEFAULT) if package is None else package
    gathered = gather(table, folder)
    sites = len({page.site for page in gathered.pages})
    why = ", ".join(f"{count:,} {reason}" for reason, count in gathered.left_out.items())
    console.print(f"{len(gathered.pages):,} pages of {sites:,} sites are learnt from; left out: {why}", soft_wrap=True)
    path = Path(str(config.corpus.path))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pages(path, gathered.pages)
    outcome = finished(config) or fit(config, name=name)
    target.mkdir(parents=True, exist_ok=True)
    write_text(target / CARD, _card(gathered, why))
    PageReader.load(str(outcome.output)).save(target)
    return target


def _card(gathered: Gathered, why: str) -> str:
    """The model card, in Markdown."""
    sites = len({page.site for page in gathered.pages})
    return f"""# Model card: the pretrained page reader

The weights that `encoder.pretrained: default` starts from, and that `--model pretrained` labels pages with. They read
the vectors that the lower layers of the backbone give of each segment; the backbone itself comes with its package.

- **For:** main story, related items and boilerplate of news pages in flat text, above all in English. It knows no
  topics: train on your pages, or on the demo's, for those.
- **Not for:** pages of other kinds, whose main text it may well miss, and languages that the backbone does not read.
- **Made by:** `make collections`, then `make pretrained`.
- **Stored:** weights alone, safetensors; no text of any page.

## Learnt from

{len(gathered.pages):,} pages of {sites:,} sites, with the labels that each collection's line in
`train/corpus/collections/collections.yaml` tells of: most are weak. Left out: {why}.

{markdown(HEADER, gathered.sources)}
## Scores

On `aeb` and `fundus`, of which it has seen no page, site or passage:

<!-- results:pretrained -->
<!-- /results -->
"""

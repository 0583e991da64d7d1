"""Validation scores with fewer training sites, inside a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from train.common.console import console
from train.config.schema import Config
from train.corpus.loading import fewer_sites
from train.corpus.page import Page
from train.corpus.training_data import training_pages
from train.models.factory import family_of
from train.models.family import Family, Log
from train.models.selection import role_macro_f1

CURVE = "learning_curve/validation/role/macro_f1"


def log_learning_curve(
    config: Config, parts: Mapping[str, list[Page]], texts: Sequence[Page], whole: Family, log: Log, work: Path
) -> None:
    """Trains on shares of the training sites too, and logs validation scores by number of sites; the last point is the
    run's model."""
    shares = config.evaluation.learning_curve
    if not shares:
        return
    sites = len({page.site for page in parts["train"]})
    roles = _roles(parts["train"])
    for size in sorted({max(2, round(share * sites)) for share in shares}):
        fewer = fewer_sites(parts, size=size, seed=config.seed)
        if size >= sites or _roles(fewer["train"]) != roles:
            continue  # few sites may not show every role
        console.print(f"learning curve: {size} of {sites} training sites")
        family = family_of(config, work / str(size))
        try:
            family.fit(training_pages(config, fewer, texts), lambda metrics, step: None)
        except ValueError as error:  # a role on one site alone is missing where a family holds sites out
            console.print(
                f"learning curve: {size} sites teach no model and are left out: {error}", style="yellow", markup=False
            )
            continue
        log({CURVE: role_macro_f1(family.reader(), parts["validation"])}, size)
    log({CURVE: role_macro_f1(whole.reader(), parts["validation"])}, sites)


def _roles(pages: Sequence[Page]) -> set[str | None]:
    return {segment.role for page in pages for segment in page.segments}

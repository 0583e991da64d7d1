"""`make ablate`: what each part of a model is worth, by cross-validating the config without it.

Every row is scored on the same unseen pages, so its difference from the first row has a paired interval over sites.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.common.errors import InputError
from train.config.schema import Config, load_config
from train.corpus.loading import corpus_sha256, read_corpus
from train.corpus.page import Page
from train.evaluation.trivial_baselines import majority_records, rule_records
from train.studies.search.space import read_yaml
from train.studies.study import Label, Result, Row, Study, cross_validated, run_study
from train.studies.tables import USUAL_FOLDS
from train.training.crossval import fold_splits

FLOORS = ("majority role", "hand rule")


def read_plan(path: Path) -> tuple[Path, dict[str, list[str]]]:
    """Reads an ablation: `base`, a config beside the file, and `rows`, each a name and its `key=value` overrides.

    Raises:
        InputError: No such file, or something else in it.
    """
    content = read_yaml(path, "ablation", "configs/ablations/*.yaml", rule="plan")
    rows: Any = content.get("rows") if isinstance(content, dict) else None
    good = isinstance(rows, dict) and rows and isinstance(content.get("base"), str) and set(content) == {"base", "rows"}
    good = good and all(
        isinstance(value, list) and all(isinstance(v, str) and "=" in v for v in value) for value in rows.values()
    )
    if not good or set(rows) & set(FLOORS):
        raise InputError(
            "something else than an ablation",
            expected=f"base: CONFIG and rows: NAME: [key=value, …], no row called {' or '.join(FLOORS)}",
            remedy="see configs/ablations/baseline.yaml",
            path=path,
            rule="bad-plan",
        )
    return path.parent / content["base"], rows


def ablate(
    plan: Path,
    overrides: Sequence[str],
    output: Path,
    *,
    count: int = USUAL_FOLDS,
    only: str | None = None,
    save: bool = False,
) -> list[Result]:
    """Cross-validates every row; one MLflow run. Rows that are done are not done again.

    Args:
        plan: The ablation (`read_plan`).
        overrides: `key=value` overrides for every row, e.g. where the corpus is.
        output: The folder for rows, `ablate.json` and `table.md`.
        count: The number of folds.
        only: Do this row (and the first, to compare with) alone.
        save: Whether to keep the rows in `configs/results`.

    Raises:
        InputError: A bad plan, config or corpus, or no such row.
    """
    base, changes = read_plan(plan)
    if only is not None and only not in changes:
        raise InputError(
            f"no row {only!r}",
            expected=f"one of {', '.join(changes)}",
            remedy="name one of them",
            path=plan,
            rule="no-row",
        )
    # All configs are read before hours go into the first of them.
    configs = {name: load_config(base, [*own, *overrides]) for name, own in changes.items()}
    first_name, first = next(iter(configs.items()))
    by_file, digest = read_corpus(first, output)
    pages = [page for part in by_file.values() for page in part]
    rows = []
    for name, config in configs.items():
        if only is None or name in (only, first_name):
            label, state = cross_validated(config, pages, corpus_sha256(config), count=count)
            rows.append(
                Row(name, config, pages, label, state, {"row": name}, None if name == first_name else first_name)
            )
    floors: dict[str, Label] = {
        FLOORS[0]: lambda _: _majority(pages, first, count),
        FLOORS[1]: lambda _: rule_records(pages),
    }
    rows += [Row(name, first, pages, label, None, {"row": name}, first_name) for name, label in floors.items()]
    variables = {"ROW": only or ""}
    save_as = f"ablation-{plan.stem}" if save else None
    study = Study("ablate", plan.as_posix(), overrides, count, {"": digest}, variables, save_as)
    return run_study(study, rows, output)


def _majority(pages: Sequence[Page], config: Config, count: int) -> list[dict[str, Any]]:
    by_id: dict[str, dict[str, Any]] = {}
    for split in fold_splits(config, pages, count):
        parts = split.select(pages)
        by_id |= {record["page_id"]: record for record in majority_records(parts["train"], parts["test"])}
    return [by_id[page.page_id] for page in pages]

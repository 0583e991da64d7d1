"""`make ablate`: what each part of a model is worth, by cross-validating the config without it.

Every row is scored on the same unseen pages, so its difference from the first row has a paired interval over sites.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.common.console import console
from train.common.errors import InputError
from train.common.files import read_json, sha256_json, write_json, write_text
from train.common.markdown import table
from train.config.schema import Config, load_config
from train.corpus.loading import corpus_sha256, read_corpus
from train.corpus.page import Page
from train.corpus.sources import jsonl
from train.corpus.splits.page_summary import all_facts
from train.corpus.splits.split import folds as make_folds
from train.evaluation.metrics import KEY_METRICS, Evaluation, evaluate, gain
from train.evaluation.trivial_baselines import majority_records, rule_records
from train.studies.search.space import read_yaml
from train.studies.tables import USUAL_FOLDS, cells, folds_said, note
from train.training.crossval import cross_validate
from train.training.fingerprint import run_fingerprint

FLOORS = ("majority role", "hand rule")


@dataclass(frozen=True)
class Row:
    """One line of an ablation.

    Args:
        name: What was changed.
        scores: On all pages, out of fold.
        gain: Over the first row, None for that row itself.
        minutes: It took to train and label; 0 for floors.
    """

    name: str
    scores: Evaluation
    gain: Evaluation | None
    minutes: float


def read_plan(path: Path) -> tuple[Path, dict[str, list[str]]]:
    """Reads an ablation: `base`, a config beside the file, and `rows`, each a name and its `key=value` overrides.

    Raises:
        InputError: No such file, or something else in it.
    """
    found = read_yaml(path, "ablation", "configs/ablations/*.yaml", rule="plan")
    rows: Any = found.get("rows") if isinstance(found, dict) else None
    good = isinstance(rows, dict) and rows and isinstance(found.get("base"), str) and set(found) == {"base", "rows"}
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
    return path.parent / found["base"], rows


def ablate(
    plan: Path, overrides: Sequence[str], output: Path, *, count: int = USUAL_FOLDS, only: str | None = None
) -> list[Row]:
    """Cross-validates every row; rows that are done are not done again.

    Args:
        plan: The ablation (`read_plan`).
        overrides: `key=value` overrides for every row, e.g. where the corpus is.
        output: Folder for rows and `table.md`.
        count: How many folds.
        only: Do this row (and the first, to compare with) alone.

    Raises:
        InputError: A bad plan, config or corpus, or no such row.
    """
    base, rows = read_plan(plan)
    if only is not None and only not in rows:
        raise InputError(
            f"no row {only!r}",
            expected=f"one of {', '.join(rows)}",
            remedy="name one of them",
            path=plan,
            rule="no-row",
        )
    # All configs are read before hours go into the first of them.
    configs = {name: load_config(base, [*own, *overrides]) for name, own in rows.items()}
    first = next(iter(configs.values()))
    by_file, digest = read_corpus(first, output)
    pages = [page for found in by_file.values() for page in found]
    settings: dict[str, Any] = {
        "bootstrap_samples": first.evaluation.bootstrap_samples,
        "confidence": first.evaluation.confidence,
        "seed": first.seed,
    }
    answer: list[Row] = []
    compared: list[dict[str, Any]] = []
    for name, config in configs.items():
        if only is not None and name not in (only, next(iter(configs))):
            continue
        console.print(f"{name}: {', '.join(rows[name]) or base.stem}", markup=False)
        records, minutes = _row(name, config, output / _slug(name), count)
        compared = compared or records
        better = None if not answer else gain(pages, records, compared, **settings)
        answer.append(Row(name, evaluate(pages, records, **settings), better, minutes))
    for name, floor in zip(FLOORS, (_majority(pages, first, count), rule_records(pages)), strict=True):
        answer.append(Row(name, evaluate(pages, floor, **settings), gain(pages, floor, compared, **settings), 0.0))
    facts = (
        f"{count} folds by site",
        f"{len(pages)} pages of {answer[0].scores.n_sites} sites",
        f"corpus sha256 `{digest[:12]}`",
    )
    told = note("ablate", plan.as_posix(), overrides, *facts, ROW=only or "", FOLDS=folds_said(count))
    write_text(output / "table.md", f"{markdown(answer)}\n{told}")
    return answer


def _row(name: str, config: Config, folder: Path, count: int) -> tuple[list[dict[str, Any]], float]:
    """Records and minutes of a row, kept from an earlier call or made now."""
    state = sha256_json([run_fingerprint(config, corpus_sha256(config)), count])
    done = folder / "row.json"
    if done.is_file() and read_json(done)["state"] == state:
        return [record for _, record in jsonl.lines(folder / "records.jsonl.gz") if isinstance(record, dict)], float(
            read_json(done)["minutes"]
        )
    done.unlink(missing_ok=True)  # else the old state would vouch for new records
    started = time.monotonic()
    records = cross_validate(config, f"ablation: {name}", folder, count=count).records
    minutes = (time.monotonic() - started) / 60
    write_json(done, {"state": state, "name": name, "minutes": minutes})
    return records, minutes


def _majority(pages: Sequence[Page], config: Config, count: int) -> list[dict[str, Any]]:
    corpus = config.corpus
    splits = make_folds(
        list(all_facts(pages)), count=count, validation_share=corpus.validation_share, seed=corpus.split_seed
    )
    by_id: dict[str, dict[str, Any]] = {}
    for split in splits:
        parts = split.select(pages)
        by_id |= {record["page_id"]: record for record in majority_records(parts["train"], parts["test"])}
    return [by_id[page.page_id] for page in pages]


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table: scores, and the gain in role macro-F1 over the first row with its interval."""
    return table(
        ["", *KEY_METRICS.values(), "change of macro-F1 (95 %)", "min"],
        [[row.name, *cells(row.scores), change(row), f"{row.minutes:.1f}" if row.minutes else ""] for row in rows],
    )


def change(row: Row) -> str:
    """The gain of a row with its interval, in points."""
    if row.gain is None:
        return ""
    value, (low, high) = row.gain.values["role/macro_f1"], row.gain.intervals["role/macro_f1"]
    return f"{100 * value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-")

"""Runs side by side on the same test pages: scores, paired differences with intervals over sites, which pages changed,
what each cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape

from train.common.errors import InputError
from train.corpus.loading import part_of_run
from train.corpus.page import Page
from train.evaluation.metrics import evaluate, paired_difference
from train.evaluation.model_scores import label_pages
from train.inference.resolve import load_labeler
from train.reports.comparison import Change, Compared, verdicts
from train.tracking.store import attach
from train.training.outcome import read_outcome, require_of_run


def compare_runs(folders: Sequence[Path], *, corpus: str | None = None, samples: int = 1000, seed: int = 0) -> Compared:
    """Labels the test pages of the runs' common split with each run's model.

    Args:
        folders: Output folders of finished runs.
        corpus: Where their corpus lies now; where the first run's config says by default.
        samples: The number of bootstrap resamples of sites.
        seed: The seed of the resampling.

    Raises:
        InputError: Fewer than two runs, or they are not of the same corpus and split.
    """
    if len(folders) < 2:
        raise InputError(
            f"{len(folders)} run", expected="two or more", remedy="name their output folders", rule="too-few-runs"
        )
    outcomes = [read_outcome(folder) for folder in folders]
    first = outcomes[0]
    for outcome in outcomes[1:]:
        if (outcome.corpus_sha256, outcome.split_sha256) != (first.corpus_sha256, first.split_sha256):
            raise InputError(
                f"corpus/split {outcome.corpus_sha256[:12]}/{outcome.split_sha256[:12]}",
                expected=f"those of {first.output}: {first.corpus_sha256[:12]}/{first.split_sha256[:12]}",
                remedy="compare runs of the same pages: train one again with the other's corpus section",
                path=outcome.output,
                rule="other-pages",
            )
    pages = part_of_run(first.output, "test", corpus, sha256=first.corpus_sha256)
    records, scores = [], []
    for folder, outcome in zip(folders, outcomes, strict=True):
        labeler = load_labeler(str(outcome.output))
        require_of_run(outcome.output, labeler.version)
        records.append(label_pages(labeler, pages, f"labelling with {escape(folder.name)}"))
        scores.append(evaluate(pages, records[-1], bootstrap_samples=samples, seed=seed))
    gains = [paired_difference(pages, other, records[0], bootstrap_samples=samples, seed=seed) for other in records[1:]]
    changes = _changes(pages, records)
    names = [folder.name for folder in folders]
    names = [str(folder) if names.count(folder.name) > 1 else folder.name for folder in folders]
    return Compared(
        names,
        [outcome.metrics for outcome in outcomes],
        [outcome.run_id for outcome in outcomes],
        scores,
        gains,
        changes,
        len(pages),
        len({page.site for page in pages}),
    )


def _changes(pages: Sequence[Page], records: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, list[Change]]:
    changes: dict[str, list[Change]] = {}
    for page, *of_models in zip(pages, *records, strict=True):
        for i, segment in enumerate(page.segments):
            roles = tuple(str(record["segments"][i]["role"]) for record in of_models)
            if len(set(roles)) > 1:
                changes.setdefault(page.page_id, []).append(Change(segment.text, str(segment.role), roles))
    return dict(sorted(changes.items(), key=lambda item: -len(item[1])))


def attach_comparison(path: Path, compared: Compared) -> int:
    """Adds the page of a comparison to the MLflow runs that are compared.

    Args:
        path: The HTML page.
        compared: What it shows.

    Returns:
        The number of runs that have the page now.
    """
    return sum(
        attach(run_id, path, "comparison", ". ".join(verdicts(compared)))
        for run_id in compared.run_ids
        if run_id is not None
    )

"""`make curve`: how scores grow with the number of labelled sites, and how many more would reach a goal.

Every size is cross-validated on the same unseen pages; the sites of a smaller size are among those of a larger one. A
power law of the error (Hestness et al. 2017, section 2) is fitted to the sizes and read off at the goal: an
extrapolation, no promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from train.common.errors import InputError
from train.config.schema import Config
from train.corpus.loading import fewer_sites, read_corpus
from train.evaluation.metrics import KEY_METRICS
from train.reports.figures import Drawing, gallery, growth
from train.reports.html import write_page
from train.studies.study import Result, Row, Study, cross_validated, run_study
from train.studies.tables import USUAL_FOLDS
from train.tracking.tracker import Tracker
from train.training.crossval import TrainingSelection, fold_splits


@dataclass(frozen=True)
class PowerLaw:
    """error = scale * sites ** -exponent.

    Args:
        scale: The error with one site.
        exponent: How fast the error falls; with 0, more sites change nothing.
    """

    scale: float
    exponent: float

    def sites_for(self, goal: float) -> float:
        """The number of sites at which the score would be the goal; infinite when more sites change nothing."""
        if self.exponent <= 0 or goal >= 1:
            return float("inf")
        power = float(np.log(self.scale / (1 - goal)) / self.exponent)
        return float(np.exp(power)) if power < 50 else float("inf")


def curve(
    config: Config,
    name: str,
    output: Path,
    *,
    sizes: Sequence[int],
    count: int = USUAL_FOLDS,
    overrides: Sequence[str] = (),
    save: bool = False,
) -> list[Result]:
    """Cross-validates with so many training sites each; one MLflow run. Sizes that are done are not done again.

    Args:
        config: The model to train. Validation pages, which choose decoder and calibration, are not made fewer.
        name: What the config is called.
        output: The folder for sizes, `curve.json`, `table.md` and `curve.html`.
        sizes: Numbers of training sites; 0 takes all.
        count: The number of folds.
        overrides: What the config was overridden with, for the table.
        save: Whether to keep the rows in `configs/results`.

    Returns:
        A row for each size, the smallest first; its details are `sites` and `pages`, means over the folds.

    Raises:
        InputError: Bad sizes or corpus.
    """
    if not sizes or any(size < 0 for size in sizes) or len(set(sizes)) < len(sizes):
        raise InputError(
            f"sizes {list(sizes)}",
            expected="different numbers of sites, 0 for all",
            remedy="SITES='10 20 40 80 0'",
            rule="bad-sizes",
        )
    by_file, corpus_sha256 = read_corpus(config, output)
    pages = [page for part in by_file.values() for page in part]
    parts = [split.select(pages) for split in fold_splits(config, pages, count)]
    rows: list[Row] = []
    for size in sorted(sizes, key=lambda size: size or 10**9):
        select = partial(fewer_sites, size=size, seed=config.seed)
        selection = TrainingSelection(f"{size} sites, seed {config.seed}", select)
        label, state = cross_validated(config, pages, corpus_sha256, count=count, selection=selection)
        learnt = [select(one)["train"] for one in parts]
        details: dict[str, str | float] = {
            "sites": float(np.mean([len({page.site for page in part}) for part in learnt])),
            "pages": float(np.mean([len(part) for part in learnt])),
        }
        reference = rows[-1].name if rows else None
        rows.append(Row(f"sites-{size or 'all'}", config, pages, label, state, details, reference))

    def draw(results: list[Result], tracker: Tracker) -> None:
        for one in results:
            tracker.step_metrics({f"curve/{key}": one.scores.values[key] for key in KEY_METRICS}, int(_sites(one)))
        write_page(output / "curve.html", f"Learning curve of {name}", [gallery(_picture(results))])
        tracker.file(output / "curve.html")
        scores = ", ".join(f"{one.scores.values['role/macro_f1']:.3f} at {_sites(one):.0f}" for one in results)
        tracker.describe(f"Role macro-F1 by training sites: {scores}.", {"curve": "curve.html", "table": "table.md"})

    variables = {"SITES": " ".join(str(size) for size in sizes)}
    save_as = "learning-curve" if save else None
    study = Study("curve", f"configs/{name}.yaml", overrides, count, {"": corpus_sha256}, variables, save_as)
    return run_study(study, rows, output, also=draw)


def _sites(result: Result) -> float:
    return float(result.row.details["sites"])


def power_law(results: Sequence[Result], metric: str) -> PowerLaw | None:
    """Fits a power law to the errors by least squares on logarithms.

    Args:
        results: The rows of a learning curve, one for each number of sites.
        metric: The score whose error, 1 less the score, is fitted.

    Returns:
        None with fewer than three sizes or a perfect score.
    """
    errors = np.array([1 - one.scores.values[metric] for one in results])
    if len(results) < 3 or (errors <= 0).any():
        return None
    slope, intercept = np.polyfit(np.log([_sites(one) for one in results]), np.log(errors), 1)
    return PowerLaw(float(np.exp(intercept)), float(-slope))


def _picture(results: Sequence[Result]) -> Drawing:
    shown = ("role/macro_f1", "role/f1/related", "role/main_words_f1", "text/f1")
    values = {
        KEY_METRICS[name]: [(*one.scores.intervals[name], one.scores.values[name]) for one in results] for name in shown
    }
    return growth(list(map(_sites, results)), values, "Scores on unseen sites", along="training sites", up="score")

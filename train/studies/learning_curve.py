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

from train.common.console import console
from train.common.errors import InputError
from train.common.files import write_json, write_text
from train.common.markdown import table
from train.config.schema import Config
from train.corpus.loading import fewer_sites, read_corpus
from train.corpus.splits.page_summary import all_facts
from train.corpus.splits.split import folds
from train.evaluation.metrics import KEY_METRICS, Evaluation, evaluate
from train.reports.figures import Drawing, gallery, growth
from train.reports.html import write_page
from train.studies.tables import USUAL_FOLDS, cells, folds_said, note
from train.tracking.runs import tracked_run
from train.training.crossval import Lesson, out_of_fold


@dataclass(frozen=True)
class Point:
    """One size.

    Args:
        sites: Training sites, mean over folds.
        pages: Training pages, mean over folds.
        scores: On all pages, out of fold.
    """

    sites: float
    pages: float
    scores: Evaluation


@dataclass(frozen=True)
class PowerLaw:
    """error = scale * sites ** -exponent.

    Args:
        scale: Error of one site.
        exponent: 0: more sites change nothing.
    """

    scale: float
    exponent: float

    def sites_for(self, goal: float) -> float:
        """Sites at which the score would be the goal; infinite when more sites change nothing."""
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
) -> list[Point]:
    """Cross-validates with so many training sites each; one MLflow run. Sizes that are done are not done again.

    Args:
        config: The model to train. Validation pages, which choose decoder and calibration, are not made fewer.
        name: What the config is called.
        output: Folder for sizes, `curve.json`, `table.md` and `curve.html`.
        sizes: Numbers of training sites; 0 takes all.
        count: How many folds.
        overrides: What the config was overridden with, for the table.

    Raises:
        InputError: Bad sizes or corpus.
    """
    if not sizes or any(size < 0 for size in sizes) or len(set(sizes)) < len(sizes):
        raise InputError(
            f"sizes {list(sizes)}",
            expected="different numbers of sites, 0 for all",
            remedy="SIZES='10 20 40 80 0'",
            rule="bad-sizes",
        )
    by_file, corpus_sha256 = read_corpus(config, output)
    pages = [page for found in by_file.values() for page in found]
    splits = folds(
        list(all_facts(pages)),
        count=count,
        validation_share=config.corpus.validation_share,
        seed=config.corpus.split_seed,
    )
    folded = [split.select(pages) for split in splits]
    points: list[Point] = []
    with tracked_run(config, resume=None, fallback_name=f"learning curve {name}", folder=output) as tracker:
        for size in sorted(sizes, key=lambda size: size or 10**9):
            console.print(f"{size or 'all'} training sites", markup=False)
            lesson = Lesson(f"{size} sites, seed {config.seed}", partial(fewer_sites, size=size, seed=config.seed))
            records = out_of_fold(
                config, pages, corpus_sha256, count=count, work=output / f"sites-{size or 'all'}", lesson=lesson
            )
            learnt = [fewer_sites(parts, size=size, seed=config.seed)["train"] for parts in folded]
            settings = config.evaluation
            scores = evaluate(
                pages,
                records,
                bootstrap_samples=settings.bootstrap_samples,
                confidence=settings.confidence,
                seed=config.seed,
            )
            sites = float(np.mean([len({page.site for page in part}) for part in learnt]))
            points.append(Point(sites, float(np.mean([len(part) for part in learnt])), scores))
            tracker.step_metrics({f"curve/{key}": scores.values[key] for key in KEY_METRICS}, int(sites))
        write_json(
            output / "curve.json",
            {"config": name, "corpus_sha256": corpus_sha256, "points": [_json(point) for point in points]},
        )
        asked = " ".join(str(size) for size in sizes)
        facts = (f"{count} folds", f"corpus sha256 `{corpus_sha256[:12]}`")
        said = note("curve", f"configs/{name}.yaml", overrides, *facts, SITES=asked, FOLDS=folds_said(count))
        write_text(output / "table.md", f"{markdown(points)}\n{said}")
        write_page(output / "curve.html", f"Learning curve of {name}", [gallery(_picture(points))])
        for file in ("curve.json", "table.md", "curve.html"):
            tracker.file(output / file)
        low, high = points[0], points[-1]
        gained = (
            f"{low.scores.values['role/macro_f1']:.3f} at {low.sites:.0f} training sites, "
            f"{high.scores.values['role/macro_f1']:.3f} at {high.sites:.0f}"
        )
        tracker.describe(f"Role macro-F1 {gained}.", {"curve": "curve.html", "table": "table.md"})
    return points


def power_law(points: Sequence[Point], metric: str) -> PowerLaw | None:
    """Least squares on logarithms; None with fewer than three sizes or a perfect score."""
    errors = np.array([1 - point.scores.values[metric] for point in points])
    if len(points) < 3 or (errors <= 0).any():
        return None
    slope, intercept = np.polyfit(np.log([point.sites for point in points]), np.log(errors), 1)
    return PowerLaw(float(np.exp(intercept)), float(-slope))


def _json(point: Point) -> dict[str, object]:
    return {"sites": point.sites, "pages": point.pages, **point.scores.to_json()}


def _picture(points: Sequence[Point]) -> Drawing:
    shown = ("role/macro_f1", "role/f1/related", "role/main_words_f1", "text/f1")
    values = {KEY_METRICS[name]: [(*p.scores.intervals[name], p.scores.values[name]) for p in points] for name in shown}
    return growth([p.sites for p in points], values, "Scores on unseen sites", along="training sites", up="score")


def markdown(points: Sequence[Point]) -> str:
    """The sizes as a Markdown table."""
    header = ["sites", "pages", *KEY_METRICS.values()]
    return table(header, [[f"{point.sites:.0f}", f"{point.pages:.0f}", *cells(point.scores)] for point in points])

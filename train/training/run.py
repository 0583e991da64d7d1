"""The records that the steps of a run hand to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.config.schema import Config
from train.corpus.page import Page
from train.corpus.splits.split import Split
from train.evaluation.metrics import Evaluation
from train.models.family import Family
from train.runtime import Labeler
from train.tracking.step_log import StepLog
from train.tracking.tracker import Tracker


@dataclass(frozen=True)
class Run:
    """What every step of a run is told.

    Args:
        config: The resolved config.
        name: What the config is called.
        output: The folder that the run writes to.
        tracker: Passes tags, metrics and files on to MLflow; does nothing where tracking is off.
    """

    config: Config
    name: str
    output: Path
    tracker: Tracker


@dataclass(frozen=True)
class RunData:
    """The pages of a run.

    Args:
        corpus_sha256: The hash of the corpus they were read from.
        split: Which page is in which part.
        parts: The pages of `train`, `validation` and `test`.
        topic_texts: Texts that topics are learnt from beside the training pages; empty without any.
    """

    corpus_sha256: str
    split: Split
    parts: Mapping[str, list[Page]]
    topic_texts: Sequence[Page]


@dataclass(frozen=True)
class TrainedFamily:
    """A family that was fitted on the training pages.

    Args:
        family: The fitted family.
        steps: The step metrics of training.
        seconds: How long training took.
        sites: The sites of all pages that it was trained or chosen on.
    """

    family: Family
    steps: StepLog
    seconds: float
    sites: frozenset[str]


@dataclass(frozen=True)
class ExportedModel:
    """A bundle, and the model that was loaded from it: what ships is what is scored.

    Args:
        bundle: The folder of the bundle.
        labeler: The model at work.
    """

    bundle: Path
    labeler: Labeler


@dataclass(frozen=True)
class PartScores:
    """What a model scores on one part of the pages.

    Args:
        pages: The labelled pages.
        records: `predict`'s records of them, in the same order.
        evaluation: Their scores, with intervals over sites.
        reliability: How well the confidence of roles tells accuracy, `before` and `after` calibration.
        segments_per_s: How many segments were labelled a second.
    """

    pages: Sequence[Page]
    records: Sequence[Mapping[str, Any]]
    evaluation: Evaluation
    reliability: Mapping[str, Any]
    segments_per_s: float


@dataclass(frozen=True)
class RunScores:
    """What a model scores, and what it cost.

    Args:
        validation: The scores on validation pages.
        test: The scores on test pages.
        calibration: The content of `calibration.json`: temperatures and thresholds, and the reliability of each part.
        metrics: The metrics of the run, by their names in MLflow.
    """

    validation: PartScores
    test: PartScores
    calibration: Mapping[str, Any]
    metrics: Mapping[str, float]

"""The scores of a model on labelled pages, as its config asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from train.config.schema import Config
from train.corpus.page import Page
from train.evaluation.metrics import Evaluation, evaluate


def score(pages: Sequence[Page], records: Sequence[Mapping[str, Any]], config: Config) -> Evaluation:
    """Scores a model's records against labelled pages.

    Args:
        pages: Labelled pages.
        records: `predict`'s records of them.
        config: Its section `evaluation` says how many resamples the intervals take and at which level; its seed draws
            them.
    """
    settings = config.evaluation
    return evaluate(
        pages, records, bootstrap_samples=settings.bootstrap_samples, confidence=settings.confidence, seed=config.seed
    )

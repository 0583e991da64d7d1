"""The records and the scores of a model on labelled pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from train.common.console import track
from train.config.schema import Config
from train.corpus.page import Page
from train.evaluation.metrics import Evaluation, evaluate
from train.runtime import Labeler


def label_pages(labeler: Labeler, pages: Sequence[Page], what: str) -> list[dict[str, Any]]:
    """`predict`'s records of pages, in the same order, under a progress bar.

    Args:
        labeler: The model.
        pages: The pages; their labels are not looked at.
        what: The text of the progress bar.
    """
    return list(labeler.label(track(((page.page_id, page.texts) for page in pages), what, total=len(pages))))


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

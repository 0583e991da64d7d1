"""The records of a model on pages, and its scores: on all of them, and on the pages of each value of a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from train.common.console import track
from train.corpus.page import Page
from train.evaluation.known_stories import label_known_stories
from train.evaluation.metrics import Evaluation, by_value, evaluate
from train.runtime import Labeler


def label_pages(labeler: Labeler, pages: Sequence[Page], what: str) -> list[dict[str, Any]]:
    """`predict`'s records of pages, in the same order, under a progress bar.

    Args:
        labeler: The model.
        pages: The pages; their labels are not looked at.
        what: The text of the progress bar.
    """
    return list(labeler.label(track(((page.page_id, page.texts) for page in pages), what, total=len(pages))))


def score_model(
    labeler: Labeler,
    pages: Sequence[Page],
    *,
    slice_by: str | None = None,
    known_stories: bool = False,
    samples: int = 1000,
    seed: int = 0,
) -> tuple[Evaluation, dict[str, Evaluation]]:
    """Labels pages with a model, and scores what it says.

    Args:
        labeler: The model.
        pages: Labelled pages.
        slice_by: A key of pages whose values are scored apart too, e.g. `lang`; None scores no slices.
        known_stories: Whether to take roles and stories as labelled, and to score topics alone.
        samples: Bootstrap resamples of sites.
        seed: The seed of the bootstrap.

    Returns:
        The scores on all pages, and value -> the scores on its pages.

    Raises:
        InputError: With `known_stories`, the model knows no topics.
    """
    if known_stories:
        records = list(label_known_stories(labeler, track(pages, "reading stories", total=len(pages))))
    else:
        records = label_pages(labeler, pages, "labelling pages")
    score = partial(evaluate, bootstrap_samples=samples, seed=seed)
    whole = score(pages, records)
    slices = {value: score(*part) for value, part in by_value(pages, records, slice_by).items()} if slice_by else {}
    if known_stories:
        return whole.only("topic"), {value: scores.only("topic") for value, scores in slices.items()}
    return whole, slices

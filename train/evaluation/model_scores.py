"""The scores of a model on labelled pages, on all of them and on the pages of each value of a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from train.common.console import track
from train.corpus.page import Page
from train.evaluation.known_stories import label_known_stories
from train.evaluation.metrics import Evaluation, by_value, evaluate
from train.runtime import Labeler


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
        texts = ((page.page_id, page.texts) for page in pages)
        records = list(labeler.label(track(texts, "labelling pages", total=len(pages))))
    score = partial(evaluate, bootstrap_samples=samples, seed=seed)
    whole = score(pages, records)
    slices = {value: score(*part) for value, part in by_value(pages, records, slice_by).items()} if slice_by else {}
    if known_stories:
        return whole.only("topic"), {value: scores.only("topic") for value, scores in slices.items()}
    return whole, slices

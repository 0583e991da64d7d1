"""What a family is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from train.corpus.page import Page


@dataclass(frozen=True)
class TrainingPages:
    """The pages a family may see.

    Args:
        train: Labelled pages like those it will be tested on.
        validation: Labelled pages to stop early by; never learnt from.
        topic_texts: Loose texts as pages of one story, which teach topics alone.
        also: Labelled pages of other corpora, perhaps with weak labels: a family learns roles from them as its config says, with less
            say than from `train`.
    """

    train: Sequence[Page]
    validation: Sequence[Page] = ()
    topic_texts: Sequence[Page] = ()
    also: Sequence[Page] = ()

"""What a family must do to be trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.runtime.calibration import Calibration
from train.runtime.decoding import Decoder, tags_of
from train.runtime.scorer import Scorer

Log = Callable[[dict[str, float], int], None]
"""Takes step metrics and the step."""


class Family(Protocol):
    """A kind of model."""

    def fit(self, pages: TrainingPages, log: Log) -> None:
        """Trains on `pages`; may look at validation pages to stop early. Topics are learnt from `topic_texts` too.
        `log` takes step metrics."""

    def scorer(self) -> Scorer:
        """The fitted model as the runtime runs it, in the engine it was trained with."""

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes the bundle's weights into `folder` and returns the family's part of the manifest; `sample` pages check
        the export."""

    def keep(self, folder: Path, decoder: Decoder, calibration: Calibration, sites: frozenset[str]) -> None:
        """Leaves what another training can start from, where the family has such.

        Args:
            folder: The folder.
            decoder: What validation pages chose.
            calibration: What they chose.
            sites: The sites of all pages that were learnt from or chosen by.
        """


def topics_of(pages: Iterable[Page]) -> tuple[str, ...]:
    """The topics of labelled pages, in fixed (sorted) order."""
    return tuple(sorted({s.topic for page in pages for s in page.segments if s.topic is not None}))


def page_tags(page: Page) -> np.ndarray:
    """A labelled page as a chain of decoder states. A related segment without a story number is a story of its own."""
    stories = [-i if s.role == "related" and s.story is None else s.story for i, s in enumerate(page.segments, start=1)]
    return tags_of([str(s.role) for s in page.segments], stories)

"""What a family must do to be trained, and how the decoder both share is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from train.config import DecodingConfig
from train.corpus.page import Page
from train.evaluation import evaluate
from train.runtime import Labeler
from train.runtime.baseline import Baseline
from train.runtime.decoding import Decoder, states_of
from train.runtime.encoder import Encoder
from train.runtime.reading import clean

Log = Callable[[dict[str, float], int], None]
"""Takes step metrics and the step."""


class Family(Protocol):
    """A kind of model."""

    def fit(self, train: Sequence[Page], validation: Sequence[Page], log: Log, topic_texts: Sequence[Page] = ()) -> None:
        """Trains on labelled pages; may look at validation pages to stop early. Topics are learnt from `topic_texts` too."""

    def reader(self) -> Baseline | Encoder:
        """The fitted model as the runtime runs it, in the engine it was trained with."""

    def write_weights(self, folder: Path) -> None:
        """Writes what training can go on from, where the bundle does not hold it."""

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes the bundle's weights and returns the family's part of the manifest; `sample` pages check the export."""


def topics_of(pages: Iterable[Page]) -> tuple[str, ...]:
    """The topics of labelled pages, in fixed (sorted) order."""
    return tuple(sorted({s.topic for page in pages for s in page.segments if s.topic is not None}))


def page_states(page: Page) -> np.ndarray:
    """A labelled page as a chain of decoder states. A related segment without a story number is a story of its own."""
    stories = [-i if s.role == "related" and s.story is None else s.story for i, s in enumerate(page.segments, start=1)]
    return states_of([str(s.role) for s in page.segments], stories)


def choose_decoder(
    reader: Baseline | Encoder, train: Sequence[Page], validation: Sequence[Page], config: DecodingConfig
) -> tuple[Decoder, list[dict[str, float]]]:
    """Learns transitions on training pages and chooses their weight on validation pages.

    Returns:
        The decoder of the best validation role macro-F1 (the first of equals), and every candidate with its score.
    """
    states = [page_states(page) for page in train]
    local, _ = reader.states([[clean(text) for text in page.texts] for page in validation])
    tried: list[dict[str, float]] = []
    best: tuple[float, Decoder] | None = None
    for weight in config.weights:
        for prior_weight in config.prior_weights if weight else config.prior_weights[:1]:
            decoder = Decoder.from_states(states, weight=weight, prior_weight=prior_weight)
            labeler = Labeler(_Scored(local), decoder, "", "", "", ())  # type: ignore[arg-type]
            records = labeler.label((page.page_id, page.texts) for page in validation)
            score = evaluate(validation, records, bootstrap_samples=0).values["role/macro_f1"]
            tried.append({"weight": weight, "prior_weight": prior_weight, "validation/role/macro_f1": score})
            if best is None or score > best[0]:
                best = score, decoder
    assert best is not None, "DecodingConfig requires candidates"
    return best[1], tried


class _Scored:
    """A reader whose local scores are known already; hands them out in page order."""

    def __init__(self, states: list[np.ndarray]) -> None:
        self._states = iter(states)

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], None]:
        return [next(self._states) for _ in pages], None

"""What validation pages choose for every family: the decoder and the calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from train.config.schema import CalibrationConfig, DecodingConfig
from train.corpus.page import Page
from train.evaluation.metrics import evaluate
from train.evaluation.reliability import reliability
from train.models.calibration import calibrate
from train.models.family import page_states
from train.runtime import Labeler
from train.runtime.calibration import Calibration
from train.runtime.decoding import STATES, Decoder, states_of
from train.runtime.reader import Reader, StoryReader
from train.runtime.text import clean


@dataclass(frozen=True)
class Chosen:
    """What validation pages decided.

    Args:
        decoder: That of the best validation role macro-F1, the first of equals.
        tried: Every candidate with its score.
        calibration: Temperatures and thresholds.
        reliability: Of roles on the validation pages, `before` and `after` calibration.
    """

    decoder: Decoder
    tried: list[dict[str, float]]
    calibration: Calibration
    reliability: dict[str, Any]


def choose(
    reader: Reader,
    train: Sequence[Page],
    validation: Sequence[Page],
    decoding: DecodingConfig,
    calibration: CalibrationConfig,
) -> Chosen:
    """Learns transitions on training pages; chooses how much they count, and calibrates, on validation pages, which are
    read once."""
    states = [page_states(page) for page in train]
    pages = [(page.page_id, page.texts) for page in validation]
    known = _Known(reader, *reader.states([[clean(text) for text in texts] for _, texts in pages]))
    tried: list[dict[str, float]] = []
    best: tuple[float, Decoder] | None = None
    for weight in decoding.weights:
        for prior_weight in decoding.prior_weights if weight else decoding.prior_weights[:1]:
            decoder = Decoder.from_states(states, weight=weight, prior_weight=prior_weight)
            records = known.labeler(decoder, ()).label(pages)
            score = evaluate(validation, records, bootstrap_samples=0).values["role/macro_f1"]
            tried.append({"weight": weight, "prior_weight": prior_weight, "validation/role/macro_f1": score})
            if best is None or score > best[0]:
                best = score, decoder
    assert best is not None, "DecodingConfig requires candidates"
    labeler = known.labeler(best[1], tuple(reader.topics))
    found = calibrate(labeler, validation, list(labeler.read(pages)), precision=calibration.precision)
    answers = list(known.labeler(best[1], ()).label(pages))
    before = reliability(validation, answers)
    after = reliability(validation, answers, temperature=found.role_temperature)
    return Chosen(best[1], tried, found, {"before": before, "after": after})


def role_macro_f1(reader: Reader, pages: Sequence[Page]) -> float:
    """Role macro-F1 of a reader's own likeliest answers, without a chain over the page: what training is watched by."""
    return states_macro_f1(reader.states([[clean(text) for text in page.texts] for page in pages])[0], pages)


def states_macro_f1(states: list[np.ndarray], pages: Sequence[Page]) -> float:
    """The same of state probabilities `[n, 4]`, page by page."""
    labeler = _Known(None, states, None).labeler(Decoder.from_states([], weight=0.0), ())
    records = labeler.label((page.page_id, page.texts) for page in pages)
    return float(evaluate(pages, records, bootstrap_samples=0).values["role/macro_f1"])


def certain_states(roles: Sequence[str]) -> np.ndarray:
    """Roles as state probabilities `[n, 4]` of a reader that has no doubts."""
    return np.asarray(np.eye(len(STATES))[states_of(roles, [None] * len(roles))])


class _Known:
    """Validation pages as a reader has read them, for one decoder after the other."""

    def __init__(self, reader: Reader | None, states: list[np.ndarray], topics: list[np.ndarray] | None) -> None:
        self._reader, self._states, self._topics = reader, states, topics

    def labeler(self, decoder: Decoder, topics: tuple[str, ...]) -> Labeler:
        """A labeler that is given the validation pages once, in their order."""
        replay = _Replay(self._states, self._topics, topics)
        if isinstance(self._reader, StoryReader):
            replay = _StoryReplay(self._states, self._topics, topics, self._reader)
        return Labeler(replay, decoder, "", "", "", topics)


class _Replay:
    def __init__(self, states: list[np.ndarray], logits: list[np.ndarray] | None, topics: tuple[str, ...]) -> None:
        self._states, self._logits, self.topics, self._at = states, logits, topics, 0

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        begin, self._at = self._at, self._at + len(pages)
        return self._states[begin : self._at], None if self._logits is None else self._logits[begin : self._at]


class _StoryReplay(_Replay):
    def __init__(
        self, states: list[np.ndarray], logits: list[np.ndarray] | None, topics: tuple[str, ...], reader: StoryReader
    ) -> None:
        super().__init__(states, logits, topics)
        self._reader = reader

    def story_topics(self, stories: Sequence[str]) -> np.ndarray:
        return self._reader.story_topics(stories)

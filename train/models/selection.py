"""What validation pages choose for every family: the decoder and the calibration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from train.config.schema import CalibrationConfig, DecodingConfig
from train.corpus.page import Page
from train.evaluation.metrics import evaluate
from train.evaluation.reliability import reliability
from train.models.calibration import calibrate
from train.models.family import page_tags
from train.runtime import Labeler
from train.runtime.calibration import Calibration
from train.runtime.decoding import TAGS, Decoder, group_segments, tags_of
from train.runtime.scorer import Scorer
from train.runtime.text import ROLES, clean


@dataclass(frozen=True)
class Chosen:
    """What validation pages decided.

    Args:
        decoder: The candidate with the best validation role macro-F1, the first of equals.
        tried: `weight`, `prior_weight` and `validation/role/macro_f1` of every candidate.
        calibration: Temperatures and thresholds.
        reliability: How well the confidence of roles tells accuracy on the validation pages, `before` and `after`
            calibration.
    """

    decoder: Decoder
    tried: list[dict[str, float]]
    calibration: Calibration
    reliability: dict[str, Any]


def choose(
    reader: Scorer,
    train: Sequence[Page],
    validation: Sequence[Page],
    decoding: DecodingConfig,
    calibration: CalibrationConfig,
) -> Chosen:
    """Learns transitions on training pages; chooses how much they count, and calibrates, on validation pages, which are
    scored once.

    Args:
        reader: The fitted family at work.
        train: Labelled pages that the decoder's transitions are counted in.
        validation: Labelled pages that the candidates are scored on.
        decoding: The candidate weights of the decoder.
        calibration: The precision that thresholds of confidence are to keep.
    """
    pages = [(page.page_id, page.texts) for page in validation]
    states, topic_logits = reader.score_segments([[clean(text) for text in texts] for _, texts in pages])
    tried: list[dict[str, float]] = []
    best: tuple[float, Decoder] | None = None
    for candidate in _candidates([page_tags(page) for page in train], decoding):
        score = _decoded_macro_f1(candidate, states, validation)
        tried.append(
            {"weight": candidate.weight, "prior_weight": candidate.prior_weight, "validation/role/macro_f1": score}
        )
        if best is None or score > best[0]:
            best = score, candidate
    assert best is not None, "DecodingConfig requires candidates"
    labeler = Labeler(reader, best[1], "", "", "", tuple(reader.topics))
    readings = list(labeler.decode(pages, states, topic_logits))
    fitted = calibrate(labeler, validation, readings, precision=calibration.precision)
    records = [labeler.record(reading) for reading in readings]
    before = reliability(validation, records)
    after = reliability(validation, records, temperature=fitted.role_temperature)
    return Chosen(best[1], tried, fitted, {"before": before, "after": after})


def _candidates(states: Sequence[np.ndarray], decoding: DecodingConfig) -> Iterator[Decoder]:
    """Decoders of each weight of the chain and of its prior; without the chain, the prior does not count."""
    for weight in decoding.weights:
        for prior_weight in decoding.prior_weights if weight else decoding.prior_weights[:1]:
            yield Decoder.from_tags(states, weight=weight, prior_weight=prior_weight)


def role_macro_f1(reader: Scorer, pages: Sequence[Page]) -> float:
    """Role macro-F1 of the likeliest role of each segment, without a chain over the page: what early stopping watches.

    Args:
        reader: A family at work.
        pages: Labelled pages.
    """
    return tags_macro_f1(reader.score_segments([[clean(text) for text in page.texts] for page in pages])[0], pages)


def tags_macro_f1(states: Sequence[np.ndarray], pages: Sequence[Page]) -> float:
    """Role macro-F1 of state probabilities, without a chain over the page.

    Args:
        states: State probabilities `[n, 4]` of each page, in the order of `pages`.
        pages: Labelled pages.
    """
    return _decoded_macro_f1(Decoder.from_tags([], weight=0.0), states, pages)


def _decoded_macro_f1(decoder: Decoder, states: Sequence[np.ndarray], pages: Sequence[Page]) -> float:
    records: list[dict[str, Any]] = []
    for page, probabilities in zip(pages, states, strict=True):
        roles, stories = group_segments(decoder.posterior(probabilities))
        segments = [{"role": ROLES[role], "story": story} for role, story in zip(roles, stories, strict=True)]
        records.append({"page_id": page.page_id, "segments": segments, "stories": []})
    return float(evaluate(pages, records, bootstrap_samples=0).values["role/macro_f1"])


def certain_states(roles: Sequence[str]) -> np.ndarray:
    """Roles as state probabilities `[n, 4]` of a model without doubts."""
    return np.asarray(np.eye(len(TAGS))[tags_of(roles, [None] * len(roles))])

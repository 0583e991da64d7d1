"""What validation pages choose: the decoder by role macro-F1, temperatures by likelihood, thresholds by precision."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.config.schema import CalibrationConfig, DecodingConfig
from train.corpus.page import Page, Segment
from train.evaluation.metrics import evaluate
from train.evaluation.reliability import reliability, reliability_of
from train.models.calibration import (
    MAX_TEMPERATURE,
    MIN_PREDICTIONS,
    MIN_TEMPERATURE,
    calibrate,
    fit_temperature,
    thresholds,
)
from train.models.family import page_tags
from train.models.selection import certain_states, choose, role_macro_f1, tags_macro_f1
from train.runtime import Labeler
from train.runtime.calibration import tempered
from train.runtime.decoding import B_RELATED, BOILERPLATE, I_RELATED, MAIN, Decoder, role_scores
from train.runtime.text import ROLES, word_count


def _page(name: str, *labels: str, words: int = 4, topic: str | None = None) -> Page:
    """A page of `m`, `b` and `r1`, `r2`, …; each segment's text says where it stands."""
    segments = []
    for i, label in enumerate(labels):
        role = {"m": "main", "r": "related", "b": "boilerplate"}[label[0]]
        story = {"m": 0, "b": None}.get(label[0], int(label[1:] or 0) or None)
        text = " ".join([f"{name}{i}", *(["word"] * (words - 1))])
        segments.append(Segment(text, role, story, None if role == "boilerplate" else topic))
    return Page(name, f"{name}.example", tuple(segments))


class Drawn:
    """A reader whose states are drawn for each text, near its gold role; counts how often it is asked."""

    topics = ("business", "sport")

    def __init__(self, pages: Sequence[Page], seed: int = 0) -> None:
        rng, self.asked = np.random.default_rng(seed), 0
        self.rows = {
            s.text: (rng.dirichlet([0.5] * 4) + 0.5 * np.eye(4)[state]) / 1.5
            for page in pages
            for s, state in zip(page.segments, page_tags(page), strict=True)
        }

    def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        self.asked += bool(pages)
        states = [np.array([self.rows[text] for text in page]).reshape(-1, 4) for page in pages]
        return states, [np.log(page[:, :2]) for page in states]


TRAIN = [_page(f"t{i}", "b", "m", "m", "b", "r1", "r1", "r2", "r2", "b") for i in range(6)]
VALIDATION = [_page(f"v{i}", *(["m", "b"] * 3), "r1", "r2", "r3", "m", "b", "b") for i in range(9)]
DECODING = DecodingConfig((0.0, 0.5, 1.0), (0.5, 1.0))


def test_transitions_are_those_of_training_pages() -> None:
    chosen = choose(Drawn(VALIDATION), TRAIN, VALIDATION, DecodingConfig((1.0,), (0.5,)), CalibrationConfig(0.9))
    expected = Decoder.from_tags([page_tags(page) for page in TRAIN], weight=1.0, prior_weight=0.5)
    assert chosen.decoder.to_json() == expected.to_json()


def test_the_decoder_with_the_best_validation_macro_f1_is_chosen_and_every_candidate_told() -> None:
    seen = set()
    for seed in range(4):
        reader = Drawn(VALIDATION, seed)
        chosen = choose(reader, TRAIN, VALIDATION, DECODING, CalibrationConfig(0.9))
        assert reader.asked == 1, "validation pages are read once"
        candidates = [(0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 0.5), (1.0, 1.0)]
        scores = []
        for weight, prior_weight in candidates:
            decoder = Decoder.from_tags([page_tags(page) for page in TRAIN], weight=weight, prior_weight=prior_weight)
            records = list(
                Labeler(reader, decoder, "", "", "", ()).label((page.page_id, page.texts) for page in VALIDATION)
            )
            scores.append(evaluate(VALIDATION, records, bootstrap_samples=0).values["role/macro_f1"])
        assert [(one["weight"], one["prior_weight"]) for one in chosen.tried] == candidates
        assert [one["validation/role/macro_f1"] for one in chosen.tried] == pytest.approx(scores)
        assert len(set(scores)) > 2
        assert (chosen.decoder.weight, chosen.decoder.prior_weight) == candidates[int(np.argmax(scores))]
        seen.add(int(np.argmax(scores)))
    assert len(seen) > 1, "not always the same one"


def test_of_candidates_that_are_as_good_the_first_is_chosen() -> None:
    sure = SimpleNamespace(
        topics=(),
        score_segments=lambda pages: ([certain_states([str(s.role) for s in p.segments]) for p in VALIDATION], None),
    )
    chosen = choose(cast(Any, sure), TRAIN, VALIDATION, DecodingConfig((0.25, 0.0), (1.0, 0.5)), CalibrationConfig(0.9))
    assert {one["validation/role/macro_f1"] for one in chosen.tried} == {1.0}
    assert (chosen.decoder.weight, chosen.decoder.prior_weight) == (0.25, 1.0)


def test_reliability_is_told_before_and_after_the_chosen_temperature() -> None:
    reader = Drawn(VALIDATION)
    chosen = choose(reader, TRAIN, VALIDATION, DECODING, CalibrationConfig(0.9))
    assert abs(chosen.calibration.role_temperature - 1) > 0.05
    labelled = [
        list(
            Labeler(reader, chosen.decoder, "", "", "", (), *with_it).label(
                (page.page_id, page.texts) for page in VALIDATION
            )
        )
        for with_it in ((), (chosen.calibration,))
    ]
    for name, records in zip(("before", "after"), labelled, strict=True):
        expected = reliability(VALIDATION, records)
        assert chosen.reliability[name]["ece"] == pytest.approx(expected["ece"], abs=1e-4)
        assert chosen.reliability[name]["brier"] == pytest.approx(expected["brier"], abs=1e-4)
    assert chosen.reliability["after"]["brier"] < chosen.reliability["before"]["brier"]


def test_thresholds_are_of_the_precision_that_the_config_wishes() -> None:
    reader = Drawn(VALIDATION)
    wished = [choose(reader, TRAIN, VALIDATION, DECODING, CalibrationConfig(precision)) for precision in (0.6, 0.99)]
    for chosen, precision in zip(wished, (0.6, 0.99), strict=True):
        labeler = Labeler(reader, chosen.decoder, "", "", "", reader.topics)
        readings = list(labeler.read((page.page_id, page.texts) for page in VALIDATION))
        assert chosen.calibration == calibrate(labeler, VALIDATION, readings, precision=precision)
    assert wished[0].calibration.thresholds != wished[1].calibration.thresholds


def test_roles_are_calibrated_on_segments_of_three_words_after_the_chain() -> None:
    pages = [*VALIDATION, *(_page(f"short{i}", "m", "b", "b", words=2) for i in range(30))]
    reader = Drawn(pages)
    decoder = Decoder.from_tags([page_tags(page) for page in TRAIN], weight=0.5)
    labeler = Labeler(reader, decoder, "", "", "", ())
    found = calibrate(labeler, pages, list(labeler.read((page.page_id, page.texts) for page in pages)), precision=0.8)
    kept = [page for page in pages if word_count(page.texts[0]) >= 3]
    scores = np.concatenate(
        [role_scores(decoder.posterior(reader.score_segments([page.texts])[0][0])) for page in kept]
    )
    gold = np.array([ROLES.index(str(s.role)) for page in kept for s in page.segments])
    assert found.role_temperature == fit_temperature(scores, gold)
    assert abs(found.role_temperature - 1) > 0.05
    assert found.thresholds == thresholds(tempered(scores, found.role_temperature), gold, 0.8)
    assert found.topic_temperature == 1.0


def _told(topic_rows: Sequence[Sequence[float]], stories: Sequence[int | None]) -> SimpleNamespace:
    scores = SimpleNamespace(posterior=np.full((len(stories), 4), 0.25))
    return SimpleNamespace(
        scores=scores, stories=stories, topics={k: np.array(row) for k, row in enumerate(topic_rows)}
    )


@pytest.mark.parametrize(("count", "fitted"), [(MIN_PREDICTIONS - 1, False), (MIN_PREDICTIONS, True)])
def test_topics_are_calibrated_on_thirty_stories_by_the_topic_that_most_segments_have(count: int, fitted: bool) -> None:
    """Nine of ten stories are business by most of their segments, all are said to be it with 0.6."""
    pages, readings = [], []
    for i in range(count):
        topics = ["business", "business", "sport"] if i % 10 else ["sport", "sport", "business"]
        pages.append(Page(f"p{i}", "a.example", tuple(Segment("one two three", "main", 0, topic) for topic in topics)))
        readings.append(_told([[0.6, 0.4]], [0, 0, 0]))
    unknown = Page("u", "a.example", (Segment("one two three", "main", 0, "weather"),))
    labeler = cast(Any, SimpleNamespace(topics=("business", "sport")))
    found = calibrate(labeler, [*pages, unknown], [*readings, _told([[0.6, 0.4]], [0])], precision=0.9)
    gold = np.array([int(i % 10 == 0) for i in range(count)])
    expected = fit_temperature(np.tile([0.6, 0.4], (count, 1)), gold)
    assert expected == pytest.approx(MIN_TEMPERATURE, abs=0.001)
    assert found.topic_temperature == (expected if fitted else 1.0)


def test_the_likeliest_temperature_by_hand() -> None:
    """Said to be sure by 0.8 and right in two of three: 0.8 : 0.2 must become 2 : 1, so that ln 4 / T is ln 2."""
    scores, gold = np.tile([0.8, 0.2], (300, 1)), np.array([0, 0, 1] * 100)
    assert fit_temperature(scores, gold) == pytest.approx(2.0, abs=0.01)
    assert fit_temperature(scores, np.zeros(300, int)) == pytest.approx(MIN_TEMPERATURE, abs=0.01), "never wrong"
    assert fit_temperature(scores, np.ones(300, int)) == pytest.approx(MAX_TEMPERATURE, abs=0.05), "always wrong"


def _least_by_trial(confidence: np.ndarray, right: np.ndarray, precision: float) -> float | None:
    """The least of the confidences from which on enough answers are right, on as many as make a judgement."""
    good = [
        c
        for c in confidence
        if right[confidence >= c].mean() >= precision
        and (confidence >= c).sum() >= min(MIN_PREDICTIONS, len(confidence))
    ]
    return round(float(min(good)), 6) if good else None


@given(st.integers(0, 2**32 - 1), st.integers(0, 120), st.sampled_from([0.5, 0.8, 0.95]))
def test_a_threshold_is_the_least_confidence_that_keeps_the_precision(seed: int, n: int, precision: float) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet([0.6, 0.6, 0.6], size=n)
    gold = np.where(rng.random(n) < 0.8, scores.argmax(axis=1), rng.integers(0, 3, n)) if n else np.zeros(0, int)
    found = thresholds(scores, gold, precision)
    for k, role in enumerate(ROLES):
        own = scores.argmax(axis=1) == k if n else np.zeros(0, bool)
        assert found[role] == _least_by_trial(scores[own, k], gold[own] == k, precision)


def test_calibration_error_and_brier_score_by_hand() -> None:
    scores = np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.05, 0.05, 0.9], [0.2, 0.61, 0.19], [0.92, 0.04, 0.04]])
    found = reliability_of(scores, np.array([0, 1, 2, 1, 0]))
    # Bins are fifteenths: those above 0.9 in one, 0.6 and 0.61 in another.
    assert found["bins"] == [[pytest.approx(0.605), 0.5, 2], [pytest.approx(2.72 / 3), 1.0, 3]]
    assert found["ece"] == pytest.approx((2 * 0.105 + 0.28) / 5)
    assert found["brier"] == pytest.approx((0.015 + 0.86 + 0.015 + 0.2282 + 0.0096) / 5)
    assert found["coverage"]["50%"] == 1.0
    assert found["coverage"]["100%"] == 0.8
    assert found["coverage"]["10%"] == 1.0, "the surest one"
    assert list(found["coverage"]) == [f"{share}%" for share in range(10, 101, 10)]


def test_reliability_is_of_segments_of_three_words_by_their_gold_role() -> None:
    page = Page(
        "p",
        "a.example",
        (Segment("one two three", "related", 1), Segment("one two", "main", 0), Segment("a b c d", "main", 0)),
    )
    answers = [
        {"scores": dict(zip(ROLES, row, strict=True))} for row in ([0.1, 0.8, 0.1], [0, 0, 1.0], [0.25, 0.25, 0.5])
    ]
    found = reliability([page], [{"segments": answers}])
    assert found["brier"] == pytest.approx((0.06 + 0.5625 + 0.0625 + 0.25) / 2)
    assert found["coverage"] == {f"{share}%": 1.0 if share < 100 else 0.5 for share in range(10, 101, 10)}
    warmer = reliability([page], [{"segments": answers}], temperature=2.0)
    expected = reliability_of(tempered(np.array([[0.1, 0.8, 0.1], [0.25, 0.25, 0.5]]), 2.0), np.array([1, 0]))
    assert warmer["brier"] == pytest.approx(expected["brier"])


def test_training_is_watched_by_the_likeliest_role_without_a_chain() -> None:
    page = _page("p", "m", "r1", "b", "m")
    states = np.array([[0.6, 0.4, 0, 0], [0.4, 0, 0.3, 0.3], [0.1, 0.7, 0.1, 0.1], [0.3, 0.4, 0.1, 0.2]])
    # Right but for the last, boilerplate for main: F1 of main 2/3, of boilerplate 2/3, of related 1.
    assert tags_macro_f1([states], [page]) == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    spoken = page.with_segments(tuple(Segment(f" {s.text}\u200b", s.role, s.story) for s in page.segments))
    asked: list[Any] = []

    def read(pages: list[list[str]]) -> tuple[list[np.ndarray], None]:
        asked.extend(pages)
        return [states], None

    assert role_macro_f1(cast(Any, SimpleNamespace(score_segments=read)), [spoken]) == pytest.approx(7 / 9)
    assert asked == [page.texts], "a reader is given clean texts"


def test_a_related_segment_without_a_number_is_a_story_of_its_own() -> None:
    assert page_tags(_page("p", "m", "r", "r", "b", "r1", "r1", "r")).tolist() == [
        MAIN,
        B_RELATED,
        B_RELATED,
        BOILERPLATE,
        B_RELATED,
        I_RELATED,
        B_RELATED,
    ]

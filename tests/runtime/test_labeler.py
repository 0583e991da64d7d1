"""From states to a record: what is summed, tempered, rounded and compared with a threshold, in numbers by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from train.runtime.calibration import Calibration, tempered
from train.runtime.decoding import Decoder
from train.runtime.labeler import BATCH_PAGES, Labeler
from train.runtime.text import ROLES

ALONE = Decoder.from_tags([], weight=0.0)
UNCALIBRATED = Calibration()


class Told:
    """A reader of states, and perhaps topic logits, that are told text by text."""

    def __init__(self, states: dict[str, Sequence[float]], logits: dict[str, Sequence[float]] | None = None) -> None:
        self._states, self._logits = states, logits
        self.topics = ("business", "sport") if logits else ()

    def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        states = [np.array([self._states[text] for text in page], float).reshape(-1, 4) for page in pages]
        if self._logits is None:
            return states, None
        return states, [np.array([self._logits[text] for text in page], float).reshape(-1, 2) for page in pages]


def _labeler(scorer: Told, decoder: Decoder = ALONE, calibration: Calibration = UNCALIBRATED) -> Labeler:
    return Labeler(scorer, decoder, "name", "version", "family", scorer.topics, calibration)


def test_each_role_has_the_scores_of_its_own_states() -> None:
    scorer = Told({"a": [0.5, 0.125, 0.25, 0.125], "b": [0.125, 0.5, 0.25, 0.125], "c": [0.25, 0.125, 0.5, 0.125]})
    segments = next(_labeler(scorer).label([("p", ["a", "b", "c"])]))["segments"]
    assert [s["scores"] for s in segments] == [
        {"main": 0.5, "related": 0.375, "boilerplate": 0.125},
        {"main": 0.125, "related": 0.375, "boilerplate": 0.5},
        {"main": 0.25, "related": 0.625, "boilerplate": 0.125},
    ]
    assert [s["role"] for s in segments] == ["main", "boilerplate", "related"]
    assert [s["confidence"] for s in segments] == [0.5, 0.5, 0.625]
    assert [s["story"] for s in segments] == [0, None, 1]


def test_the_chain_reads_first_and_the_temperature_divides_once_after_it() -> None:
    """Local scores 6 : 1 : 1 : 1 times starts 6 : 4 : 5 : 4 are 36 : 4 : 9 for main, boilerplate and related; their
    square roots 6 : 2 : 3."""
    start = np.log(np.array([6, 4, 5, 4]) / 19)
    decoder = Decoder(start, np.log(np.full((4, 4), 0.25)), np.log(np.full(4, 0.25)), 1.0, 0.0)
    scorer = Told({"a": np.array([6, 1, 1, 1]) / 9})
    plain, calibrated = (
        next(_labeler(scorer, decoder, calibration).label([("p", ["a"])]))["segments"][0]["scores"]
        for calibration in (Calibration(), Calibration(role_temperature=2.0, topic_temperature=5.0))
    )
    assert plain == pytest.approx({"main": 36 / 49, "related": 9 / 49, "boilerplate": 4 / 49}, abs=1e-6)
    assert calibrated == pytest.approx({"main": 6 / 11, "related": 3 / 11, "boilerplate": 2 / 11}, abs=1e-6)


def test_roles_and_borders_are_those_of_the_chain_not_of_single_segments() -> None:
    """The chain knows no story that begins after another has begun, and no boilerplate after main."""
    transition = np.full((4, 4), 0.25)
    transition[2] = [0.01, 0.01, 0.01, 0.97]
    transition[0] = [0.97, 0.01, 0.01, 0.01]
    decoder = Decoder(np.log(np.full(4, 0.25)), np.log(transition), np.log(np.full(4, 0.25)), 1.0, 0.0)
    scorer = Told({"begins": [0, 0, 1, 0], "perhaps": [0, 0, 0.6, 0.4], "main": [1, 0, 0, 0], "odd": [0.4, 0.6, 0, 0]})
    for chain, stories in ((decoder, [1, 1, 0, 0]), (ALONE, [1, 2, 0, None])):
        record = next(_labeler(scorer, chain).label([("p", ["begins", "perhaps", "main", "odd"])]))
        assert [s["story"] for s in record["segments"]] == stories


def test_topics_have_their_own_temperature_once_and_roles_theirs() -> None:
    logits = {"a": np.log([36.0, 9.0]), "b": np.log([36.0, 9.0])}
    scorer = Told({"a": [0.64, 0.04, 0.2, 0.12], "b": [0.64, 0.04, 0.2, 0.12]}, logits)
    labeler = _labeler(scorer, calibration=Calibration(role_temperature=1.0, topic_temperature=2.0))
    record = next(labeler.label([("p", ["a", "b"])]))
    assert record["segments"][0]["scores"]["main"] == pytest.approx(0.64)
    assert record["stories"] == [
        {
            "story": 0,
            "role": "main",
            "topic": "business",
            "confidence": pytest.approx(6 / 9, abs=1e-6),
            "segments": [0, 1],
        }
    ]
    assert labeler.story_topics([["a", "b"]], [[0, 0]])[0][0] == pytest.approx([6 / 9, 3 / 9])
    assert next(labeler.read([("p", ["a", "b"])])).topics[0] == pytest.approx([0.8, 0.2]), "a reading is not calibrated"


def test_without_topics_a_story_is_as_sure_as_its_segments_on_average() -> None:
    scorer = Told(
        {"a": [36 / 49, 4 / 49, 9 / 49, 0], "b": [0.5, 0.0, 0.25, 0.25], "c": [0, 0, 1, 0], "d": [0, 0.75, 0.25, 0]}
    )
    record = next(_labeler(scorer, calibration=Calibration(role_temperature=2.0)).label([("p", ["a", "c", "b", "d"])]))
    main, related = record["stories"]
    assert (main["story"], main["role"], main["topic"], main["segments"]) == (0, "main", None, [0, 2])
    assert main["confidence"] == pytest.approx((6 / 11 + 0.5) / 2, abs=1e-6)
    assert (related["story"], related["role"], related["segments"]) == (1, "related", [1])
    assert related["confidence"] == pytest.approx(1)


def test_an_answer_is_unsure_below_the_threshold_of_its_own_role_after_calibration() -> None:
    scorer = Told(
        {"a": [36 / 49, 4 / 49, 9 / 49, 0], "b": [4 / 49, 36 / 49, 9 / 49, 0], "c": [4 / 49, 9 / 49, 36 / 49, 0]}
    )
    calibration = Calibration(2.0, 1.0, {"main": 0.6, "boilerplate": 0.5})
    segments = next(_labeler(scorer, calibration=calibration).label([("p", ["a", "b", "c"])], unsure=True))["segments"]
    assert {s["role"]: s["unsure"] for s in segments} == {"main": True, "boilerplate": False, "related": False}
    assert {s["confidence"] for s in segments} == {0.545455}
    at_it = Calibration(2.0, 1.0, {"main": 0.545455})
    assert (
        next(_labeler(scorer, calibration=at_it).label([("p", ["a"])], unsure=True))["segments"][0]["unsure"] is False
    )


def test_records_come_page_by_page_in_order_with_the_texts_as_they_came() -> None:
    scorer = Told({"a b": [1, 0, 0, 0], "c": [0, 1, 0, 0]})
    pages = [(f"p{i}", ["c"] * (i % 3) + [" a \u200b b "]) for i in range(2 * BATCH_PAGES + 1)]
    records = list(_labeler(scorer).label(pages))
    assert [record["page_id"] for record in records] == [page_id for page_id, _ in pages]
    for record, (_, texts) in zip(records, pages, strict=True):
        assert [s["text"] for s in record["segments"]] == texts
        assert [s["role"] for s in record["segments"]] == ["boilerplate"] * (len(texts) - 1) + ["main"]
        assert record["model"] == {"name": "name", "version": "version", "family": "family"}


def test_a_temperature_is_the_root_of_the_scores() -> None:
    scores = np.array([[36, 9, 4], [4, 36, 9]]) / 49
    assert tempered(scores, 2.0) == pytest.approx(np.array([[6, 3, 2], [2, 6, 3]]) / 11)
    assert tempered(np.array([[6, 3, 2]]) / 11, 0.5) == pytest.approx(np.array([[36, 9, 4]]) / 49)
    assert tempered(scores, 1.0) == pytest.approx(scores)
    calibration = Calibration(2.0, 0.5)
    assert calibration.roles(scores)[0] == pytest.approx(np.array([6, 3, 2]) / 11)
    assert calibration.topics(np.array([6, 3, 2]) / 11) == pytest.approx(np.array([36, 9, 4]) / 49)


def test_the_order_of_roles_is_main_related_boilerplate() -> None:
    """Every score vector, confusion and bundle has them so."""
    assert ROLES == ("main", "related", "boilerplate")

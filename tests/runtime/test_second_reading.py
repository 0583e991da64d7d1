"""What the baseline's second reading is told of a segment, counted again segment by segment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from train.runtime import baseline
from train.runtime.baseline import (
    BATCH_SEGMENTS,
    CONTEXT,
    NEAR,
    SHAPES,
    WIDE,
    all_tags,
    coefficients,
    page_context,
    stacking_features,
)
from train.runtime.decoding import softmax


def _around(values: np.ndarray, i: int, width: int) -> float:
    half = width // 2
    return float(np.mean([values[k] for k in range(len(values)) if abs(k - i) <= half]))


def _context(states: np.ndarray, words: np.ndarray) -> np.ndarray:
    """`page_context`, straight from what it says."""
    main, boilerplate, related = states[:, 0], states[:, 1], states[:, 2] + states[:, 3]
    expected = main * words
    densest = int(np.argmax([_around(expected, i, NEAR) for i in range(len(states))]))
    rows = []
    for i in range(len(states)):
        away = i - densest
        rows.append(
            [
                sum(expected[:i]) / max(sum(expected), 1e-9),
                np.log1p(sum(expected)) / 9,
                *(_around(values, i, NEAR) for values in (main, boilerplate, related)),
                *(_around(values, i, WIDE) for values in (main, related)),
                np.sign(away) * np.log1p(abs(away)) / 6,
                np.log1p(len(states)) / 7,
            ]
        )
    return np.array(rows)


@settings(max_examples=40)
@given(st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_the_context_of_a_segment_is_what_it_says(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    states, words = rng.dirichlet([0.5] * 4, size=n), rng.integers(0, 60, n).astype(float) + rng.random(n) / 100
    found = page_context(states, words)
    assert found.shape == (n, CONTEXT)
    assert np.allclose(found, _context(states, words))


@settings(max_examples=25)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_the_second_reading_is_told_of_its_own_page_alone(lengths: list[int], reach: int, seed: int) -> None:
    rng, total = np.random.default_rng(seed), sum(lengths)
    states, counted = rng.dirichlet([0.5] * 4, size=total), rng.random((total, SHAPES + 3))
    found = stacking_features(states, counted, lengths, reach)
    expected, start = [], 0
    for length in lengths:
        own, told = states[start : start + length], counted[start : start + length]
        start += length
        where = _context(own, np.expm1(told[:, 0] * 6)) if length else np.zeros((0, CONTEXT))

        def at(rows: np.ndarray, i: int) -> np.ndarray:
            return rows[i] if 0 <= i < len(rows) else np.zeros(rows.shape[1])

        for i in range(length):
            around = [at(own, i + offset) for offset in range(-reach, reach + 1) if offset]
            shapes = [at(told[:, :SHAPES], i + offset) for offset in (-2, -1, 1, 2)]
            before, after = np.log1p(own[:i].sum(axis=0)), np.log1p(own[i + 1 :].sum(axis=0))
            expected.append(
                np.concatenate([np.log(np.clip(own[i], 1e-4, 1)), told[i], *around, before, after, where[i], *shapes])
            )
    assert found.dtype == np.float32
    assert len(found) == total
    if total:
        assert np.allclose(found, np.array(expected), atol=1e-5)


def test_states_that_training_never_saw_have_no_share() -> None:
    found = all_tags(np.array([[0.7, 0.3], [0.2, 0.8]]), np.array([1, 3]))
    assert found.tolist() == [[0, 0.7, 0, 0.3], [0, 0.2, 0, 0.8]]


@pytest.mark.parametrize("classes", [[0, 2], [0, 1, 3]])
def test_coefficients_answer_as_scikit_learn_does(classes: list[int]) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 3))
    labels = np.array(classes)[(rows[:, 0] > 0) * 1 + (rows[:, 1] > 0.5) * (len(classes) - 2)]
    model = LogisticRegression().fit(rows, labels)
    weights, intercepts = coefficients(model)
    assert np.allclose(softmax(rows @ weights + intercepts), model.predict_proba(rows), atol=1e-5)


def test_batches_hold_whole_pages_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline, "BATCH_SEGMENTS", 4)
    pages = [["a"] * 3, ["b"] * 2, [], ["c"] * 9, ["d"], ["e"]]
    assert baseline._batches(pages) == [pages[:2], pages[2:4], pages[4:]]
    assert baseline._batches([]) == []
    assert BATCH_SEGMENTS > 1000


def test_a_long_text_is_read_at_its_two_ends() -> None:
    text = "a" * 200 + "b" * 50 + "c" * 100
    assert baseline.ends(text) == "a" * 200 + " " + "c" * 100
    assert baseline.ends("a" * 200 + "c" * 100) == "a" * 200 + "c" * 100

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from train.runtime import baseline, code_points, page_features
from train.runtime.decoding import Decoder, group_segments, role_scores, tags_of
from train.runtime.features import shifted
from train.runtime.page_features import (
    OVERLAP_NAMES,
    POSITION_NAMES,
    SURFACE_NAMES,
    lexical_overlap,
    position_features,
    surface_features,
)
from train.runtime.text import HEAD_CHARS, TAIL_CHARS, clean
from train.runtime.trees import Trees

TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)


@pytest.mark.parametrize("module", ["train.runtime", "train.runtime.baseline", "train.runtime.encoder"])
def test_reading_needs_no_training_library(module: str) -> None:
    code = (
        f"import sys, {module}; print(sorted(set(sys.modules) & "
        f"{{'torch', 'transformers', 'mlflow', 'sklearn', 'datasets', 'onnxruntime'}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(TEXT)
def test_clean_is_a_fixed_point(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert "\n" not in once
    assert once == once.strip()


def test_a_megabyte_in_one_segment_is_read_by_its_ends() -> None:
    assert len(clean("word " * 250_000 + "end")) < 6000
    assert clean("word " * 250_000 + "end").endswith("end")


@given(st.lists(TEXT, max_size=12))
def test_numbers_are_finite_and_small_for_any_page(texts: list[str]) -> None:
    page = [clean(text) for text in texts]
    for rows, names in (
        (surface_features(page), SURFACE_NAMES),
        (position_features(page), POSITION_NAMES),
        (lexical_overlap(page), OVERLAP_NAMES),
    ):
        assert rows.shape == (len(page), len(names))
        assert np.isfinite(rows).all()
        assert (np.abs(rows) <= 2).all()


def test_neighbours_stop_at_the_page_edge() -> None:
    rows = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert shifted(rows, -1, [2, 2]).ravel().tolist() == [0, 1, 0, 3]
    assert shifted(rows, 1, [2, 2]).ravel().tolist() == [2, 0, 4, 0]


def test_states_of_a_page() -> None:
    roles = ["main", "related", "related", "boilerplate", "related", "related"]
    assert tags_of(roles, [0, 1, 1, None, 1, 2]).tolist() == [0, 2, 3, 1, 3, 2]


def _decoder(**settings: float) -> Decoder:
    chains = [np.array([1, 0, 0, 0, 1, 2, 3, 2, 3, 1])] * 20
    return Decoder.from_tags(chains, **settings)


def test_without_weight_the_local_scores_stand() -> None:
    local = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    assert np.allclose(_decoder(weight=0.0).posterior(local), local)


def test_context_overrules_a_doubtful_segment() -> None:
    local = np.array([[0.9, 0.1, 0, 0], [0.9, 0.1, 0, 0], [0.4, 0, 0.3, 0.3], [0.9, 0.1, 0, 0]]) + 1e-3
    posterior = _decoder(weight=1.0, prior_weight=0.5).posterior(local)
    assert np.allclose(posterior.sum(axis=1), 1)
    assert role_scores(posterior)[2].argmax() == 0


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_stories_are_numbered_in_page_order(n: int, seed: int) -> None:
    local = np.random.default_rng(seed).dirichlet([0.3] * 4, size=n)
    posterior = _decoder().posterior(local)
    roles, stories = group_segments(posterior)
    assert [s is None for s in stories] == [r == 2 for r in roles]
    assert [s == 0 for s in stories] == [r == 0 for r in roles]
    related = [s for s in stories if s]
    assert related == sorted(related)
    assert sorted(set(related)) == list(range(1, len(set(related)) + 1))
    assert (role_scores(posterior).argmax(axis=1) == roles).all()


def test_a_long_page_does_not_underflow() -> None:
    local = np.random.default_rng(0).dirichlet([0.05] * 4, size=10_000)
    assert np.isfinite(_decoder().posterior(local)).all()


def test_a_decoder_survives_json() -> None:
    again = Decoder.from_json(_decoder(weight=0.5).to_json())
    local = np.random.default_rng(0).dirichlet([1] * 4, size=5)
    assert (again.posterior(local) == _decoder(weight=0.5).posterior(local)).all()
    with pytest.raises(ValueError, match="decoder states"):
        Decoder.from_json({**_decoder().to_json(), "states": ["a"]})


def test_trees_that_point_outside_are_refused() -> None:
    one = np.array([0])
    with pytest.raises(ValueError, match="outside"):
        Trees(np.zeros(4), one, np.zeros(1), one + 5, one, np.zeros(1), np.zeros((1, 4), int), 1, 3)
    with pytest.raises(ValueError, match="outside"):
        Trees(np.zeros(4), one + 3, np.zeros(1), one, one, np.zeros(1), np.zeros((1, 4), int), 1, 3)


def _walk(trees: Trees, rows: np.ndarray) -> np.ndarray:
    """The reference: from the root down, question by question."""
    raw = np.tile(trees.baseline, (len(rows), 1))
    for i, row in enumerate(rows):
        for roots in trees.roots:
            for k, node in enumerate(roots):
                while trees.left[node] != node:
                    node = trees.left[node] if row[trees.feature[node]] <= trees.threshold[node] else trees.right[node]
                raw[i, k] += trees.value[node]
    odds = np.exp(raw - raw.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("leaves", [2, 16, 40])
def test_all_questions_at_once_give_what_a_walk_gives(leaves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from train.models.baseline import family as training

    monkeypatch.setattr(training, "LEAVES", leaves)
    monkeypatch.setattr(training, "ROUNDS", 5)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 6)).round(1).astype(np.float32)  # many values equal a threshold's neighbours
    labels = (rows[:, 0] > rows[:, 1]) * 1 + (rows[:, 2] > 0) * 2
    trees = training._boosted(rows, labels, None, 0)
    assert np.allclose(trees.predict_proba(rows[:300]), _walk(trees, rows[:300]), atol=1e-12)
    assert trees.predict_proba(rows[:0]).shape == (0, 4)


def test_broken_trees_are_refused_when_they_are_loaded() -> None:
    there_and_back, nothing = np.array([1, 0]), np.zeros(2)
    with pytest.raises(ValueError, match="circle"):
        Trees(
            np.zeros(1), np.zeros(2, int), nothing, there_and_back, there_and_back, nothing, np.zeros((1, 1), int), 1, 3
        )
    own = np.array([0, 1])
    with pytest.raises(ValueError, match="no trees"):
        Trees(np.zeros(1), np.zeros(2, int), nothing, own, own, nothing, np.zeros((0, 1), int), 1, 3)
    with pytest.raises(ValueError, match="thresholds"):
        Trees(np.zeros(1), np.zeros(2, int), nothing * np.nan, own, own, nothing, np.zeros((1, 1), int), 1, 3)


def test_characters_that_unfold_are_bounded() -> None:
    assert len(clean("\ufdfa" * 6000)) <= HEAD_CHARS + TAIL_CHARS + 1
    assert clean(clean("\ufdfa" * 6000)) == clean("\ufdfa" * 6000)


def test_counts_do_not_hang_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["", "A b 12", "C", "", "d 3 E"]
    whole = surface_features(texts)
    monkeypatch.setattr(code_points, "BATCH_CHARS", 3)
    assert (surface_features(texts) == whole).all()
    assert surface_features([]).shape == (0, len(SURFACE_NAMES))


@given(st.lists(TEXT, max_size=8))
def test_shape_counts_what_it_says(texts: list[str]) -> None:
    texts = [clean(text) for text in texts]
    rows = surface_features(texts)
    assert rows.shape == (len(texts), len(SURFACE_NAMES))
    for row, text in zip(rows, texts, strict=True):
        words = text.split()
        found = dict(zip(SURFACE_NAMES, row.tolist(), strict=True))
        assert found["log_words"] == pytest.approx(np.log1p(len(words)) / 6, abs=1e-6)
        assert found["digit_share"] == pytest.approx(sum(c.isdigit() for c in text) / max(len(text), 1), abs=1e-6)
        assert found["capital_word_share"] == pytest.approx(
            sum(w[0].isupper() for w in words) / max(len(words), 1), abs=1e-6
        )
        assert found["has_bracket"] == any(c in text for c in "[]{}<>")


@given(st.lists(st.sampled_from(["Menu", "menu", "Read more", "harbour " * 20, "bridge " * 24, ""]), max_size=12))
def test_place_is_what_it_says(page: list[str]) -> None:
    texts = [clean(text) for text in page]
    n, words = len(texts), [len(text.split()) for text in texts]
    long = [i for i in range(n) if words[i] >= page_features.LONG_WORDS]
    folded = [text.casefold() for text in texts]
    for i, row in enumerate(position_features(texts)):
        expected = {
            "segments_before": i / n,
            "words_before": sum(words[:i]) / max(sum(words), 1),
            "log_segments_before": np.log1p(i) / 6,
            "log_segments_after": np.log1p(n - 1 - i) / 6,
            "since_long": np.log1p(min((i - k for k in long if k <= i), default=50)) / 4,
            "until_long": np.log1p(min((k - i for k in long if k >= i), default=50)) / 4,
            "long_words_before": sum(words[k] for k in long if k < i) / max(sum(words[k] for k in long), 1),
            "is_repeat": float(folded[i] in folded[:i]),
            "repeats_later": float(folded[i] in folded[i + 1 :] and folded[i] not in folded[:i]),
            "log_page_words": np.log1p(sum(words)) / 9,
        }
        assert dict(zip(POSITION_NAMES, row.tolist(), strict=True)) == pytest.approx(expected, abs=1e-6)


def test_likeness_counts_shared_telling_words() -> None:
    long = [
        " ".join([first, *(f"word{n:03}" for n in range(i, i + 20))])
        for i, first in enumerate(["northern", "southern", "western"])
    ]
    rows = lexical_overlap([long[0], "northern western easterly", long[1], long[2]])
    names = dict(zip(OVERLAP_NAMES, rows[1].tolist(), strict=True))
    assert names == pytest.approx(
        {"like_before": 1 / 3, "like_last": 1 / 3, "like_next": 1 / 3, "like_after": 1 / 3, "like_first": 1 / 3}
    )
    assert rows[0, OVERLAP_NAMES.index("like_first")] == 0, "a segment is not compared with itself"
    assert rows[3, OVERLAP_NAMES.index("like_after")] == 0


def test_a_large_page_is_compared_as_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    words = sp.random(30, 50, 0.2, format="csr", dtype=np.float32, random_state=0)
    pages = [["word " * 25 if i % 3 else "short" for i in range(12)], [], ["short"], ["word " * 25] * 17]
    small = baseline.similarity(pages, words)
    monkeypatch.setattr(baseline, "DENSE", 0)
    assert np.allclose(small, baseline.similarity(pages, words), atol=1e-6)
    dense = words.toarray()
    assert small[4, 0] == pytest.approx(dense[4] @ dense[2], abs=1e-6), "the last long segment before"
    assert small[4, 2] == pytest.approx(dense[4] @ dense[1], abs=1e-6), "the first long segment"
    assert small[12].tolist() == [0, 0, 0, 0], "a page without running text"


@given(st.lists(st.lists(st.sampled_from(["harbour", "bridge", "council", "of", "a"]), max_size=24), max_size=10))
def test_likeness_is_what_it_says(pages: list[list[str]]) -> None:
    texts = [" ".join(words) for words in pages]
    telling = [{word for word in words if len(word) >= 5} for words in pages]
    long = [i for i, words in enumerate(pages) if len(words) >= page_features.LONG_WORDS]
    rows = lexical_overlap(texts)
    for i, own in enumerate(telling):
        before, after = [k for k in long if k < i], [k for k in long if k > i]
        first = [k for k in long[:1] if k != i]
        around = (before, before[-page_features.NEAR :], after[: page_features.NEAR], after, first)
        expected = [len(own & set().union(*(telling[k] for k in found))) / max(len(own), 1) for found in around]
        assert rows[i].tolist() == np.array(expected, np.float32).tolist()

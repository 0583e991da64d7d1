"""The baseline's second reading learns from first readings of sites that the first model had not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import scipy.sparse as sp

from tests.helpers.paths import ROOT
from train.config.schema import BaselineConfig, load_config
from train.corpus.page import Page, Segment
from train.corpus.training_data import TrainingPages
from train.models.baseline import family as baseline
from train.models.baseline.family import FOLDS, BaselineFamily
from train.models.family import page_tags
from train.runtime.features import Features

SITES = ["a", "b", "a", "c", "d", "d", "e", "b", "f"]
"""Of pages of 2, 3, … segments: a page is known by its length."""
LENGTHS = list(range(2, 2 + len(SITES)))
SITE_OF_LENGTH = dict(zip(LENGTHS, SITES, strict=True))


def _config(*overrides: str) -> BaselineConfig:
    config = load_config(
        ROOT / "configs/pages-baseline.yaml",
        ["baseline.min_df=1", "baseline.max_words=50", "baseline.max_chars=50", *overrides],
    )
    assert config.baseline is not None
    return config.baseline


@dataclass
class Memory:
    """First models that know by heart which sites they were fitted with, and what they were asked."""

    fitted: list[SimpleNamespace] = field(default_factory=list)
    asked: list[tuple[set[str], set[str]]] = field(default_factory=list)

    def fit(self, features: Features, labels: np.ndarray, *settings: Any) -> Any:
        sites = {SITE_OF_LENGTH[length] for length in features.lengths}
        model = SimpleNamespace(
            sites=sites, labels=labels, weights=settings[-1], lengths=list(features.lengths), n_iter_=np.array([1])
        )
        self.fitted.append(model)
        return model

    def read(self, model: Any, features: Features, known: Any = None) -> np.ndarray:
        """States of each segment that tell the length of its page, and its place on it."""
        self.asked.append((model.sites, {SITE_OF_LENGTH[length] for length in features.lengths}))
        return np.concatenate([_answer(length) for length in features.lengths])


def _answer(length: int) -> np.ndarray:
    place = np.arange(1, length + 1) / 100
    return np.stack([place, np.full(length, length / 100), np.full(length, 0.5), 0.5 - place - length / 100], axis=1)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    told = Memory()
    monkeypatch.setattr(baseline, "fit_parts", told.fit)
    monkeypatch.setattr(baseline, "first_stage", told.read)
    return told


def _pages() -> list[Page]:
    """Pages whose roles come in another order on each."""
    made = []
    for i, (site, length) in enumerate(zip(SITES, LENGTHS, strict=True)):
        roles = [("main", "boilerplate", "related", "related")[(i + k) % 4] for k in range(length)]
        story = {"main": 0, "boilerplate": None, "related": 1}
        segments = tuple(Segment(f"harbour {role} word{site}", role, story[role]) for role in roles)
        made.append(Page(f"{site}{i}", site, segments))
    return made


def _expected() -> np.ndarray:
    return np.concatenate([_answer(length) for length in LENGTHS])


def test_no_site_is_answered_by_a_model_that_was_fitted_with_it(memory: Memory) -> None:
    total, rng = sum(LENGTHS), np.random.default_rng(0)
    features = Features(
        sp.eye(total, format="csr"), sp.eye(total, format="csr"), None, np.arange(total), None, LENGTHS, []
    )
    states, weights = rng.integers(0, 4, total), rng.random(total)
    family = BaselineFamily(_config(), 13)
    found = family._out_of_fold(features, states, weights, SITES)
    assert (found == _expected()).all(), "every segment has the answer that was given of it"
    assert len(memory.fitted) == FOLDS
    starts = np.concatenate([[0], np.cumsum(LENGTHS)])
    for model, (seen, unseen) in zip(memory.fitted, memory.asked, strict=True):
        assert not seen & unseen
        assert seen | unseen == set(SITES), "each learns from all the others"
        rows = np.concatenate([np.arange(starts[length - 2], starts[length - 1]) for length in model.lengths])
        assert (model.labels == states[rows]).all()
        assert (model.weights == weights[rows]).all()
    assert sorted(site for _, unseen in memory.asked for site in unseen) == sorted(set(SITES))
    memory.fitted.clear()
    family._out_of_fold(features, states, None, SITES)
    assert [model.weights for model in memory.fitted] == [None] * FOLDS


def test_two_sites_are_two_folds_and_one_is_read_by_its_own_model(memory: Memory) -> None:
    total = sum(LENGTHS[:3])
    features = Features(
        sp.eye(total, format="csr"), sp.eye(total, format="csr"), None, np.arange(total), None, LENGTHS[:3], []
    )
    family, states = BaselineFamily(_config(), 13), np.zeros(total, np.int64)
    family._out_of_fold(features, states, None, SITES[:3])
    assert sorted(map(str, memory.asked)) == sorted(map(str, [({"a"}, {"b"}), ({"b"}, {"a"})]))
    memory.asked.clear()
    assert family._out_of_fold(features, states, None, ["z"] * 3).shape == (total, 4)
    assert len(memory.asked) == 1


def test_the_second_reading_learns_from_those_answers_and_other_corpora_weigh_as_the_config_says(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]] = []

    def boosted(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, seed: int) -> None:
        grown.append((rows, labels, weights))

    monkeypatch.setattr(baseline, "_boosted", boosted)
    pages = _pages()
    unseen = Page("v", "v", (Segment("zeppelin", "main", 0),))
    states = np.concatenate([page_tags(page) for page in pages])
    own = sum(LENGTHS[:6])
    for weight, train, also, expected in (
        (0.25, pages[:6], pages[6:], np.where(np.arange(len(states)) < own, 1.0, 0.25)),
        (0.25, pages, (), None),
    ):
        memory.fitted.clear()
        grown.clear()
        family = BaselineFamily(_config(f"baseline.auxiliary_weight={weight}"), 13)
        family.fit(TrainingPages(train, [unseen], (), also), lambda metrics, step: None)
        ((rows, labels, weights),) = grown
        assert np.allclose(rows[:, :4], np.log(_expected()), atol=1e-6), "its own states, in logarithms"
        assert (labels == states).all()
        assert not any(seen & asked for seen, asked in memory.asked)
        whole = memory.fitted[0]
        assert (whole.sites, len(whole.labels)) == (set(SITES), len(states)), (
            "pages to be labelled are read by a model of all"
        )
        assert family.scorer().linear is whole
        for found in (weights, whole.weights):
            assert found is None if expected is None else (found == expected).all()
        assert "zeppelin" not in family.scorer().words.vocabulary_, "validation pages are not looked at"
        assert "worda" in family.scorer().words.vocabulary_


def test_other_corpora_without_weight_are_not_learnt_from(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    grown: list[np.ndarray] = []
    monkeypatch.setattr(baseline, "_boosted", lambda rows, labels, weights, seed: grown.append(labels))
    family = BaselineFamily(_config("baseline.auxiliary_weight=0.0"), 13)
    pages = _pages()
    family.fit(TrainingPages(pages[:6], (), (), pages[6:]), lambda metrics, step: None)
    assert len(grown[0]) == len(memory.fitted[0].labels) == sum(LENGTHS[:6])
    assert memory.fitted[0].weights is None
    assert "worde" not in family.scorer().words.vocabulary_


def test_the_config_says_how_strong_and_how_long_the_first_reading_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []

    def fit_parts(
        features: Features, labels: np.ndarray, c: float, iterations: int, seed: int, weights: np.ndarray | None
    ) -> Any:
        told.append((c, iterations, seed))
        return SimpleNamespace(n_iter_=np.array([1]))

    monkeypatch.setattr(baseline, "fit_parts", fit_parts)
    config = _config(
        "baseline.C=0.5", "baseline.max_iterations=7", "baseline.topic_C=9.0", "baseline.stacking_neighbours=0"
    )
    BaselineFamily(config, 21).fit(TrainingPages(_pages()), lambda metrics, step: None)
    assert told == [(0.5, 7, 21)]


def test_topics_are_fitted_on_stories_with_their_own_strength(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[tuple[Any, ...]] = []

    def fit_linear(rows: Any, labels: np.ndarray, c: float, iterations: int, seed: int) -> Any:
        told.append((rows.shape[0], labels.tolist(), c, iterations, seed))

    monkeypatch.setattr(baseline, "fit_linear", fit_linear)
    stories = [
        Page(
            "p",
            "a",
            (Segment("goal and match", "main", 0, "sport"), Segment("shares and bank", "related", 1, "business")),
        ),
        Page("q", "b", (Segment("goal and cup", "main", 0, "sport"), Segment("home", "boilerplate"))),
    ]
    loose = [Page("t", "", (Segment("painting and opera", None, 0, "art"),))]
    config = _config(
        "baseline.C=0.5", "baseline.topic_C=9.0", "baseline.max_iterations=7", "baseline.stacking_neighbours=0"
    )
    family = BaselineFamily(config, 21)
    family.fit(TrainingPages(stories, (), cast(Sequence[Page], loose)), lambda metrics, step: None)
    assert family.scorer().topics == ("art", "business", "sport")
    assert told == [(4, [2, 1, 2, 0], 9.0, 7, 21)]

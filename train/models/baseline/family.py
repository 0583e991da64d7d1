"""Training the TF-IDF baseline: vectorisers, a linear first reading, boosted trees that read it again, topics of
stories."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from train.common.console import track, waiting
from train.config.schema import BaselineConfig
from train.corpus.page import Page
from train.corpus.training_data import TrainingPages
from train.models.baseline.vocabulary import fit_tfidf
from train.models.family import Log, page_tags, topics_of
from train.models.linear import fit_linear, fit_parts
from train.models.story_topics import labelled_stories, topic_indices
from train.runtime.baseline import Baseline, ends, first_stage, stacking_features
from train.runtime.calibration import Calibration
from train.runtime.decoding import Decoder
from train.runtime.features import Features
from train.runtime.ngrams import Vectoriser
from train.runtime.text import clean
from train.runtime.trees import Trees

FOLDS = 3
ROUNDS, RATE, LEAVES = 120, 0.05, 15
LEAF_SEGMENTS, SHRINKAGE, FEATURES_A_SPLIT = 100, 10.0, 0.3
"""The second reading must not learn the training sites by heart."""


class BaselineFamily:
    """Fits a `Baseline`. Deterministic: the same pages and config give the same bits on the same machine."""

    def __init__(self, config: BaselineConfig, seed: int) -> None:
        self.config, self.seed = config, seed
        self._fitted: Baseline | None = None

    def fit(self, pages: TrainingPages, log: Log) -> None:
        """Trains, with `auxiliary_weight` on `pages.auxiliary`; validation pages are not looked at. `log` takes the
        sizes, at step 0."""
        own = sum(len(page.segments) for page in pages.train)
        train = [*pages.train, *(pages.auxiliary if self.config.auxiliary_weight else ())]
        texts = [[clean(text) for text in page.texts] for page in train]
        lengths = [len(page) for page in texts]
        with waiting("reading segments"):
            fitted = self._vocabularies(texts, topics_of([*train, *pages.topic_texts]))
            by_parts, numbers = fitted.read(texts)
            if self.config.numbers:
                fitted.scaler = StandardScaler().fit(fitted.with_neighbours(numbers, lengths))
            features = fitted.with_numbers(by_parts, numbers)
        states = np.concatenate([page_tags(page) for page in train])
        weights = (
            np.where(np.arange(len(states)) < own, 1.0, self.config.auxiliary_weight) if len(states) > own else None
        )
        with waiting(f"fitting roles on {features.shape[0]:,} segments, {features.shape[1]:,} features"):
            fitted.linear = self._linear(features, states, weights)
        log(
            {
                "train/segments": features.shape[0],
                "train/features": features.shape[1],
                "train/iterations": int(fitted.linear.n_iter_[0]),
            },
            0,
        )
        if fitted.reach:
            first = self._out_of_fold(features, states, weights, [page.site for page in train])
            with waiting("fitting the second reading"):
                fitted.second = _boosted(
                    stacking_features(first, numbers, lengths, fitted.reach), states, weights, self.seed
                )
        if len(fitted.topics) > 1:
            with waiting("fitting topics"):
                self._fit_topics(fitted, [*train, *pages.topic_texts])
        else:
            fitted.topics = ()
        self._fitted = fitted

    def _vocabularies(self, pages: list[list[str]], topics: tuple[str, ...]) -> Baseline:
        config = self.config
        texts = list(chain.from_iterable(pages))
        min_df = min(config.min_df, len(texts))
        words = fit_tfidf(texts, analyzer="word", shortest=1, longest=2, most=config.max_words, min_df=min_df)
        shortest, longest = config.char_ngrams
        heads = [ends(text) for text in texts]
        chars = fit_tfidf(
            heads, analyzer="char_wb", shortest=shortest, longest=longest, most=config.max_chars, min_df=min_df
        )
        neighbours = None
        if config.neighbour_words:
            neighbours = fit_tfidf(
                texts, analyzer="word", shortest=1, longest=1, most=config.neighbour_words, min_df=min_df
            )
        return Baseline(
            words,
            chars,
            neighbours,
            None,
            None,
            None,
            None,
            None,
            config.neighbours_before,
            config.neighbours_after,
            config.numbers,
            True,
            config.stacking_neighbours,
            topics,
        )

    def _linear(self, features: Features, labels: np.ndarray, weights: np.ndarray | None) -> LogisticRegression:
        return fit_parts(features, labels, self.config.C, self.config.max_iterations, self.seed, weights)

    def _out_of_fold(
        self, features: Features, states: np.ndarray, weights: np.ndarray | None, sites: Sequence[str]
    ) -> np.ndarray:
        """The first reading of each training segment by a model that has not seen its site; `sites` are the pages'."""
        first = np.zeros((len(states), 4))
        page = np.repeat(np.arange(len(features.lengths)), features.lengths)
        groups = np.asarray(sites)[page]
        folds = min(FOLDS, len(set(groups.tolist())))
        if folds < 2:
            return first_stage(self._linear(features, states, weights), features)
        splits = list(GroupKFold(folds).split(states, groups=groups))
        for seen, unseen in track(splits, "first reading of unseen sites"):
            model = self._linear(
                features.of_pages(np.unique(page[seen])), states[seen], None if weights is None else weights[seen]
            )
            first[unseen] = first_stage(model, features.of_pages(np.unique(page[unseen])))
        return first

    def _fit_topics(self, fitted: Baseline, train: Sequence[Page]) -> None:
        stories = labelled_stories(train)
        texts = ["\n".join(texts) for texts, _ in stories]
        fitted.topic_words = fit_tfidf(
            texts,
            analyzer="word",
            shortest=1,
            longest=2,
            most=self.config.max_words,
            min_df=2 if len(texts) > 20 else 1,
        )
        rows = Vectoriser.of(fitted.topic_words).transform(texts)
        fitted.topic_linear = fit_linear(
            rows, topic_indices(stories, fitted.topics), self.config.topic_C, self.config.max_iterations, self.seed
        )

    def scorer(self) -> Baseline:
        """The fitted model."""
        assert self._fitted is not None, "fit first"
        return self._fitted

    def keep(self, folder: Path, decoder: Decoder, calibration: Calibration, sites: frozenset[str]) -> None:
        """Nothing: a training of trees and linear weights starts from no other.

        Args:
            folder: The folder.
            decoder: What validation pages chose.
            calibration: What they chose.
            sites: The sites of all pages that were learnt from or chosen by.
        """

    def write(self, folder: Path, sample: Sequence[Page]) -> dict[str, Any]:
        """Writes `model.skops` and `trees.npz` into `folder`; returns the family's part of the manifest. No `sample` is
        needed: the engine is the same."""
        return {**self.scorer().write(folder), "topics": list(self.scorer().topics)}


def _boosted(rows: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, seed: int) -> Trees:
    """Grows trees with scikit-learn and takes them out as plain arrays: skops, rightly, trusts no `TreePredictor`.

    Raises:
        RuntimeError: The arrays do not answer as scikit-learn does, i.e. its internals changed.
    """
    model = HistGradientBoostingClassifier(
        max_iter=ROUNDS,
        learning_rate=RATE,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=min(LEAF_SEGMENTS, max(1, len(rows) // 50)),
        l2_regularization=SHRINKAGE,
        max_features=FEATURES_A_SPLIT,
        early_stopping=False,
        random_state=seed,
    ).fit(rows, labels, weights)
    classes = model.classes_
    binary = len(classes) == 2
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
    roots = np.zeros((len(model._predictors), 4), np.int64)
    size = depth = 0
    nothing = _leaf(columns)  # states that training never saw share one empty leaf
    size += 1
    for i, trees in enumerate(model._predictors):
        roots[i] = nothing
        for k, tree in enumerate(trees):
            nodes = tree.nodes
            roots[i, classes[1] if binary else classes[k]] = size
            leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes)) + size
            columns["feature"].append(np.where(leaf, 0, nodes["feature_idx"]))
            columns["threshold"].append(np.where(leaf, np.inf, nodes["num_threshold"]))
            columns["left"].append(np.where(leaf, own, nodes["left"].astype(np.int64) + size))
            columns["right"].append(np.where(leaf, own, nodes["right"].astype(np.int64) + size))
            columns["value"].append(np.where(leaf, nodes["value"], 0.0))
            depth, size = max(depth, int(nodes["depth"].max())), size + len(nodes)
    baseline = np.full(4, -50.0)
    if binary:
        baseline[classes] = (0.0, float(model._baseline_prediction.ravel()[0]))
    else:
        baseline[classes] = model._baseline_prediction.ravel()
    arrays = {name: np.concatenate(parts) for name, parts in columns.items()}
    grown = Trees(baseline, **arrays, roots=roots, depth=depth, features=rows.shape[1])
    sample = rows[:500]
    if not np.allclose(grown.predict_proba(sample)[:, classes], model.predict_proba(sample), atol=1e-6):
        raise RuntimeError(
            "scikit-learn's boosted trees are laid out in another way than this version knows; pin scikit-learn as in "
            "constraints.txt"
        )
    return grown


def _leaf(columns: dict[str, list[np.ndarray]]) -> int:
    for name, value in (("feature", 0), ("threshold", np.inf), ("left", 0), ("right", 0), ("value", 0.0)):
        columns[name].append(np.array([value]))
    return 0

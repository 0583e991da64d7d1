from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from train.models.linear import fit_linear, fit_parts
from train.runtime.features import Features, shifted

LENGTHS = [7, 1, 0, 12, 30]


def _features(*, around: bool = True, numbers: bool = True) -> Features:
    rng = np.random.default_rng(0)
    total, texts = sum(LENGTHS), 20
    sparse = [sp.random(texts, width, 0.3, format="csr", dtype=np.float32, random_state=width) for width in (15, 9, 6)]
    return Features(
        sparse[0],
        sparse[1],
        sparse[2] if around else None,
        rng.integers(0, texts, total),
        rng.normal(size=(total, 4)).astype(np.float32) if numbers else None,
        LENGTHS,
        [-2, -1, 1],
    )


@pytest.mark.parametrize("around", [True, False])
@pytest.mark.parametrize("numbers", [True, False])
def test_products_are_those_of_the_matrix(around: bool, numbers: bool) -> None:
    features, rng = _features(around=around, numbers=numbers), np.random.default_rng(1)
    whole = features.csr()
    assert features.shape == whole.shape
    right, left = (
        rng.normal(size=(whole.shape[1], 3)).astype(np.float32),
        rng.normal(size=(whole.shape[0], 3)).astype(np.float32),
    )
    assert np.allclose(features.dot(right), whole @ right, atol=1e-5)
    assert np.allclose(features.transposed_dot(left), whole.T @ left, atol=1e-5)


def test_rows_of_some_pages_know_no_other_page() -> None:
    features = _features()
    starts = np.concatenate([[0], np.cumsum(LENGTHS)])
    kept = [1, 2, 4]
    rows = np.concatenate([np.arange(starts[page], starts[page + 1]) for page in kept])
    assert np.allclose(features.of_pages(kept).csr().toarray(), features.csr()[rows].toarray())
    assert features.of_pages([]).shape == (0, features.shape[1])


@pytest.mark.parametrize("states", [2, 3, 4])
@pytest.mark.parametrize("c", [0.3, 30.0])
def test_the_fit_is_that_of_scikit_learn(states: int, c: float) -> None:
    features = _features()
    labels = np.random.default_rng(2).integers(0, states, features.shape[0])
    ours, theirs = fit_parts(features, labels, c, 500, 13), fit_linear(features.csr(), labels, c, 500, 13)
    assert ours.coef_.shape == theirs.coef_.shape
    assert (ours.classes_ == theirs.classes_).all()
    assert np.allclose(ours.predict_proba(features.csr()), theirs.predict_proba(features.csr()), atol=2e-3)
    early, reference = fit_parts(features, labels, c, 5, 13), fit_linear(features.csr(), labels, c, 5, 13)
    assert early.n_iter_[0] == reference.n_iter_[0] == 5
    assert np.allclose(early.coef_, reference.coef_, atol=1e-3), "the same way down, too"


def test_weights_are_those_of_scikit_learn() -> None:
    features = _features()
    rng = np.random.default_rng(4)
    labels, weights = rng.integers(0, 3, features.shape[0]), rng.choice([0.1, 1.0], features.shape[0])
    ours, theirs = (
        fit_parts(features, labels, 1.0, 500, 13, weights),
        fit_linear(features.csr(), labels, 1.0, 500, 13, weights),
    )
    assert np.allclose(ours.predict_proba(features.csr()), theirs.predict_proba(features.csr()), atol=2e-3)
    plain, ones = (
        fit_parts(features, labels, 1.0, 50, 13),
        fit_parts(features, labels, 1.0, 50, 13, np.ones(features.shape[0])),
    )
    assert np.allclose(plain.coef_, ones.coef_)
    assert not np.allclose(plain.coef_, fit_parts(features, labels, 1.0, 50, 13, weights).coef_, atol=1e-2)


@pytest.mark.parametrize("offset", [-3, -1, 0, 2, 40])
def test_shifting_one_page_is_shifting_among_pages(offset: int) -> None:
    rows = np.arange(20.0).reshape(10, 2)
    among = shifted(np.vstack([rows, rows]), offset, [10, 10])
    assert (shifted(rows, offset, [10]) == among[:10]).all()
    assert (shifted(sp.csr_matrix(rows), offset, [10]).toarray() == among[:10]).all()

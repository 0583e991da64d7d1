"""Logistic regression: scikit-learn's, and the same objective over features that are kept in parts."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from train.runtime.features import Features


def fit_linear(
    rows: Any, labels: np.ndarray, c: float, iterations: int, seed: int, weights: np.ndarray | None = None
) -> LogisticRegression:
    """Fits scikit-learn's logistic regression; being cut off at `iterations` is a choice of the config and no warning.

    Args:
        rows: Features, `[n, features]`, dense or CSR.
        labels: Class of each row, `[n]`.
        c: Inverse strength of the l2 penalty.
        iterations: The most iterations of the solver.
        seed: Seeds the solver.
        weights: Weight of each row, `[n]`; None: all count alike.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=ConvergenceWarning)
        return LogisticRegression(C=c, max_iter=iterations, random_state=seed).fit(rows, labels, weights)


def fit_parts(
    features: Features, labels: np.ndarray, c: float, iterations: int, seed: int, weights: np.ndarray | None = None
) -> LogisticRegression:
    """What `fit_linear` finds on `features.csr()`, up to rounding: the same objective, start, solver (L-BFGS-B) and
    tolerances.

    Products with features in parts take a fraction of the time: repeated texts and neighbours' words are multiplied
    once, numbers as a dense matrix, and nothing is converted to double precision on the way.

    Args:
        features: The features of the training segments.
        labels: State of each segment, `[segments]`.
        c: Inverse strength of the l2 penalty.
        iterations: The most iterations of the solver.
        seed: Seeds scikit-learn's solver, which fits fewer than three states.
        weights: Weight of each segment, `[segments]`; None: all count alike.
    """
    classes, gold = np.unique(labels, return_inverse=True)
    if len(classes) < 3:  # scikit-learn's objective for two classes is another one
        return fit_linear(features.csr(), labels, c, iterations, seed, weights)
    width, k = features.shape[1], len(classes)
    lines = np.arange(len(labels))
    each = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    n = float(each.sum())
    penalty = 1 / (c * n)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coefficients, intercepts = flat[:-k].reshape(width, k), flat[-k:]
        logits = features.dot(coefficients.astype(np.float32)).astype(np.float64) + intercepts
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        total = odds.sum(axis=1, keepdims=True)
        value = float((np.log(total[:, 0]) - logits[lines, gold]) @ each) / n + 0.5 * penalty * float(
            flat[:-k] @ flat[:-k]
        )
        error = odds / total
        error[lines, gold] -= 1
        error *= each[:, None] / n
        gradient = np.empty_like(flat)
        # Scaled up and down again: single precision keeps its digits for small values.
        gradient[:-k] = features.transposed_dot(error * n).ravel()
        gradient[:-k] /= n
        gradient[:-k] += penalty * flat[:-k]
        gradient[-k:] = error.sum(axis=0)
        return value, gradient

    options = {"maxiter": iterations, "maxls": 50, "gtol": 1e-4, "ftol": 64 * np.finfo(float).eps}
    minimum = minimize(loss, np.zeros(width * k + k), jac=True, method="L-BFGS-B", options=options)
    fitted = LogisticRegression(C=c, max_iter=iterations, random_state=seed)
    fitted.classes_, fitted.n_features_in_, fitted.n_iter_ = classes, width, np.array([minimum.nit], np.int32)
    fitted.coef_ = np.ascontiguousarray(minimum.x[:-k].reshape(width, k).T, np.float32)
    fitted.intercept_ = minimum.x[-k:].astype(np.float32)
    return fitted

"""Bootstrap intervals over sites: a site is drawn with all its pages."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def resampled(per_site: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Sums of counts over resampled sites; the same seed and number of sites draw the same sites.

    Args:
        per_site: The counts of each site, `[sites, columns]`.
        samples: The number of resamples.
        seed: Seeds the draws of sites.

    Returns:
        The sums of each resample, `[samples, columns]`.
    """
    sites, rng = len(per_site), np.random.default_rng(seed)
    at_once = max(1, 4_000_000 // sites)
    sizes = [min(at_once, samples - start) for start in range(0, samples, at_once)]
    return np.concatenate([rng.multinomial(sites, np.full(sites, 1 / sites), size=size) @ per_site for size in sizes])


def intervals_of(samples: Mapping[str, np.ndarray], confidence: float) -> dict[str, tuple[float, float]]:
    """The percentile interval of each metric: the middle part of its values over the resamples (Efron & Tibshirani
    1993, chapter 13).

    Args:
        samples: Metric name -> its value in each resample, `[samples]`.
        confidence: The share of the resamples that lie within the interval, e.g. 0.95.

    Returns:
        Metric name -> `(low, high)`.
    """
    tails = [50 * (1 - confidence), 100 - 50 * (1 - confidence)]
    intervals = {}
    for name, values in samples.items():
        low, high = np.percentile(values, tails)
        intervals[name] = (float(low), float(high))
    return intervals

"""Has what comes in changed? A reference profile is saved with a model, and new pages are compared with it.

Segments of a page, and pages of a site, are alike: a textbook threshold of the population stability index would call
every small sample shifted. So each feature's index is held against what the reference itself shows between sites:
samples of about as many sites, drawn from it again and again and compared with the sites that were not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from train.common.console import track
from train.common.errors import InputError
from train.corpus.page import Page
from train.monitoring.profile import Profile, other_profile, profile, read_reference

LEAST_PAGES, LEAST_SITES = 20, 6
"""Fewer new pages, and fewer reference sites, prove nothing."""
RESAMPLES = 400
FALSE_ALARM = 0.01
"""How often at most an unshifted set of pages is to be called shifted, over all features."""
LEAST_INDEX = 0.1
"""Population stability below which a difference does not matter, however sure it is (the usual rule of thumb)."""
_SMOOTHING = 0.5


@dataclass(frozen=True)
class Shift:
    """One feature compared.

    Args:
        feature: Its name.
        psi: Population stability index of new pages against the reference.
        js: Jensen-Shannon distance, 0 to 1.
        usual: What unshifted samples of this size stay below.
        shifted: Whether the index is above that, and above what matters at all.
        bins: Names of the bins.
        before: Share of each bin in the reference.
        now: The same in the new pages.
    """

    feature: str
    psi: float
    js: float
    usual: float
    shifted: bool
    bins: Sequence[str]
    before: Sequence[float]
    now: Sequence[float]


def compare(reference: Profile, new: Profile, *, seed: int = 0, resamples: int = RESAMPLES) -> list[Shift]:
    """Compares new pages with the reference, feature by feature.

    Args:
        reference: The profile that was saved with the model.
        new: The profile of the new pages, in the same bins.
        seed: Seeds the draws of reference sites.
        resamples: Number of resamples that tell how large an index unshifted pages reach.

    Returns:
        A `Shift` for each feature, the largest index first.

    Raises:
        InputError: There are too few new pages or reference sites, or the profiles are of other features.
    """
    if len(new.sites) < LEAST_PAGES:
        raise InputError(
            f"{len(new.sites)} pages",
            expected=f"{LEAST_PAGES} or more: fewer prove nothing",
            remedy="collect more pages",
            rule="too-few-pages",
        )
    if reference.counts.keys() != new.counts.keys():
        raise other_profile(f"of {', '.join(reference.counts)}")
    usual = _usual(reference, new, seed, resamples)
    shifts = []
    for name, rows in reference.counts.items():
        before, now = _shares(rows.sum(axis=0)), _shares(new.counts[name].sum(axis=0))
        psi = float(_psi(before, now))
        shifted = psi > max(LEAST_INDEX, usual[name])
        shifts.append(
            Shift(
                name,
                psi,
                _jensen_shannon(before, now),
                usual[name],
                shifted,
                list(reference.labels[name]),
                before.tolist(),
                now.tolist(),
            )
        )
    return sorted(shifts, key=lambda shift: -shift.psi)


def _usual(reference: Profile, new: Profile, seed: int, resamples: int) -> dict[str, float]:
    """The index that unshifted pages like the new ones stay below, feature by feature.

    The reference's sites are parted at random into two sets, as many as the new pages have on one side but no more than
    half, and compared. An index falls as the sites of both sides grow, so it is scaled to the numbers of sites that are
    compared in truth.
    """
    rng = np.random.default_rng(seed)
    _, place = np.unique(reference.sites, return_inverse=True)
    by_site = [np.flatnonzero(place == site) for site in range(int(place.max(initial=-1)) + 1)]
    total = len(by_site)
    if total < LEAST_SITES:
        raise InputError(
            f"a reference of {total} sites",
            expected=f"{LEAST_SITES} or more: how much sites differ must be known",
            remedy="train a model with more validation and test sites",
            rule="few-sites",
        )
    sites, a_site = _effective_sites(new.sites, len(reference.sites) / total)
    drawn_count = int(np.clip(round(sites), 1, total // 2))
    scale = (1 / sites + 1 / total) / (1 / drawn_count + 1 / (total - drawn_count))
    indices: dict[str, list[float]] = {name: [] for name in reference.counts}
    for _ in range(resamples):
        order = rng.permutation(total)
        drawn = [rng.permutation(by_site[site])[: max(1, round(a_site))] for site in order[:drawn_count]]
        sample, rest = np.concatenate(drawn), np.concatenate([by_site[site] for site in order[drawn_count:]])
        for name, rows in reference.counts.items():
            indices[name].append(scale * _psi(_shares(rows[rest].sum(axis=0)), _shares(rows[sample].sum(axis=0))))
    level = 1 - FALSE_ALARM / len(indices)
    return {name: float(np.quantile(values, level)) for name, values in indices.items()}


def _effective_sites(sites: np.ndarray, usual_pages: float) -> tuple[float, float]:
    """Of how many equally large sites pages may be taken to be, and pages of each; those of no known site are parted as
    the reference's are."""
    unknown = int((sites < 0).sum())
    parted = max(1, round(unknown / usual_pages))
    sizes = np.concatenate([np.bincount(sites[sites >= 0]), np.full(parted, unknown / parted)])
    number = float(sizes.sum() ** 2 / (sizes**2).sum())
    return number, len(sites) / number


def _shares(counts: np.ndarray) -> np.ndarray:
    smoothed = counts + _SMOOTHING
    return np.asarray(smoothed / smoothed.sum())


def _psi(before: np.ndarray, now: np.ndarray) -> float:
    return float(((now - before) * np.log(now / before)).sum())


def _jensen_shannon(before: np.ndarray, now: np.ndarray) -> float:
    middle = (before + now) / 2
    halves = [float((p * np.log2(p / middle)).sum()) for p in (before, now)]
    return float(np.sqrt(max(0.0, sum(halves) / 2)))


@dataclass(frozen=True)
class Drift:
    """New pages beside a model's reference.

    Args:
        model: Family and version of the model.
        pages: Number of new pages.
        sites: Number of known sites that they come from.
        shifts: Feature by feature, the largest index first.
    """

    model: str
    pages: int
    sites: int
    shifts: Sequence[Shift]


def check_drift(model: str, pages: Iterable[Page], *, seed: int = 0) -> Drift:
    """Labels new pages and compares them with the model's reference profile.

    Args:
        model: A bundle's folder or a model's URI.
        pages: Unlabelled or labelled; labels are not looked at.
        seed: Seeds the draws of reference sites.

    Raises:
        InputError: As for `compare` and `read_reference`.
    """
    from train.inference.resolve import bundle_folder, load_labeler

    bundle = bundle_folder(model)
    labeler = load_labeler(str(bundle))
    reference, words = read_reference(bundle)
    sites: list[str] = []

    def texts() -> Iterator[tuple[str, list[str]]]:
        for page in track(pages, "labelling pages"):
            sites.append(page.site)
            yield page.page_id, page.texts

    # Records come a batch after their pages were taken: by their number, not side by side.
    new = profile(
        ((sites[i], record) for i, record in enumerate(labeler.label(texts()))), words, labeler.topics, reference
    )
    return Drift(
        f"{labeler.family} {labeler.version}",
        len(new.sites),
        len(set(filter(None, sites))),
        compare(reference, new, seed=seed),
    )

"""Has what comes in changed? A reference profile is saved with a model, and new pages are compared with it.

Segments of a page, and pages of a site, are alike: a textbook threshold of the population stability index would call every
small sample shifted. So each feature's index is held against what the reference itself shows between sites: samples of about as
many sites, drawn from it again and again and compared with the sites that were not drawn.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from train.corpus.page import Page
from train.errors import InputError
from train.files import read_json, write_text, written_aside
from train.progress import track
from train.runtime.reading import ROLES, word_count

PROFILE, WORDS = "profile.json", "known-words.npy"
"""Files of a bundle."""
MOST_PAGES = 2_000
"""Reference pages that are kept: more would not sharpen what their sites tell."""
LEAST_PAGES, LEAST_SITES = 20, 6
"""Fewer new pages, and fewer reference sites, prove nothing."""
RESAMPLES = 400
FALSE_ALARM = 0.01
"""How often at most an unshifted set of pages is to be called shifted, over all features."""
LEAST_INDEX = 0.1
"""Population stability below which a difference does not matter, however sure it is (the usual rule of thumb)."""
_SMOOTHING = 0.5
_WORD = re.compile(r"[^\W\d_]{2,}")
_OF_SEGMENTS: dict[str, tuple[float, ...]] = {
    "words a segment": (2, 3, 6, 12, 25, 50, 100),
    "confidence": (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
}
"""Feature -> borders of its bins."""
_OF_PAGES = ("segments a page", "words of the main story", "unknown words")
"""Features with one value a page: their bins hold a fifth of the reference each, for pages are few."""
_FIFTHS = (0.2, 0.4, 0.6, 0.8)


def known_words(pages: Iterable[Sequence[str]]) -> np.ndarray:
    """Hashes of the words that two training pages or more use, sorted; uint32 `[words]`."""
    seen: Counter[int] = Counter()
    for texts in pages:
        seen.update(_hashes(texts))
    return np.array(sorted(word for word, n in seen.items() if n > 1), np.uint32)


def _hashes(texts: Sequence[str]) -> set[int]:
    words = {word for text in texts for word in _WORD.findall(text.casefold())}
    return {zlib.crc32(word.encode("utf-8", "replace")) for word in words}


@dataclass(frozen=True)
class Profile:
    """How pages look to a model.

    Args:
        borders: Feature -> borders of its bins; features without are of named kinds.
        labels: Feature -> names of its bins.
        counts: Feature -> `[pages, bins]`.
        sites: Site number of each page, `[pages]`; -1 where it is not known.
    """

    borders: Mapping[str, Sequence[float]]
    labels: Mapping[str, Sequence[str]]
    counts: Mapping[str, np.ndarray]
    sites: np.ndarray

    def write(self, path: Path) -> None:
        """Writes the profile as JSON."""
        features = {name: {"bins": list(self.labels[name]), "counts": rows.tolist()} for name, rows in self.counts.items()}
        borders = {name: list(found) for name, found in self.borders.items()}
        write_text(path, json.dumps({"borders": borders, "sites": self.sites.tolist(), "features": features}) + "\n")

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Reads what `write` wrote."""
        found = read_json(path)
        try:
            features = found["features"]
            return cls(
                found["borders"],
                {name: feature["bins"] for name, feature in features.items()},
                {name: np.array(feature["counts"], np.int64) for name, feature in features.items()},
                np.array(found["sites"], np.int64),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _other_profile(repr(error)).at(path, None) from None


def profile(
    pages: Iterable[tuple[str, Mapping[str, Any]]],
    words: np.ndarray,
    topics: Sequence[str],
    reference: Profile | None = None,
) -> Profile:
    """The profile of labelled pages.

    Args:
        pages: `(site, record)`, records as `predict` prints them.
        words: Of `known_words`.
        topics: The model's.
        reference: Gives the bins of pages that are to be compared with it; None finds them in these pages.
    """
    values: dict[str, list[Sequence[float]]] = {name: [] for name in (*_OF_SEGMENTS, *_OF_PAGES)}
    roles: list[np.ndarray] = []
    told: list[np.ndarray] = []
    numbers: dict[str, int] = {}
    sites: list[int] = []
    for site, record in pages:
        segments = record["segments"]
        counts = [word_count(segment["text"]) for segment in segments]
        hashes = np.fromiter(_hashes([segment["text"] for segment in segments]), np.uint32)
        values["words a segment"].append(counts)
        values["confidence"].append([segment["confidence"] for segment in segments])
        values["segments a page"].append([len(segments)])
        values["words of the main story"].append([sum(n for n, s in zip(counts, segments, strict=True) if s["role"] == "main")])
        values["unknown words"].append([1 - float(np.isin(hashes, words).mean())] if len(hashes) else [])
        roles.append(np.bincount([ROLES.index(s["role"]) for s in segments], minlength=len(ROLES)))
        topic = next((story["topic"] for story in record["stories"] if story["story"] == 0), None)
        told.append(np.eye(len(topics) + 1, dtype=np.int64)[-1 if topic is None else topics.index(topic)])
        sites.append(numbers.setdefault(site, len(numbers)) if site else -1)
    found = {**_OF_SEGMENTS, **{name: _fifths(values[name]) for name in _OF_PAGES}} if reference is None else dict(reference.borders)
    counted = {name: np.array([_histogram(row, found[name]) for row in rows], np.int64) for name, rows in values.items()}
    labels: dict[str, Sequence[str]] = {name: _names(found[name]) for name in values} | {"role": ROLES}
    counted["role"] = np.array(roles, np.int64)
    if topics:
        labels["topic of the main story"], counted["topic of the main story"] = [*topics, "no main story"], np.array(told)
    return Profile(found, labels, counted, np.array(sites, np.int64))


def _fifths(rows: Sequence[Sequence[float]]) -> list[float]:
    flat = np.array([value for row in rows for value in row] or [0.0], np.float64)
    # Two bins beside the fifths are empty in the reference: what lies outside all it has seen.
    outer = (float(flat.min()), float(np.nextafter(flat.max(), np.inf)))
    return sorted({*map(float, np.quantile(flat, _FIFTHS)), *outer})


def _histogram(values: Sequence[float], borders: Sequence[float]) -> np.ndarray:
    return np.bincount(np.searchsorted(borders, values, side="right"), minlength=len(borders) + 1)


def _names(borders: Sequence[float]) -> list[str]:
    shown = [f"{border:,.0f}" if border >= 100 else f"{border:.3g}" for border in borders]
    return [f"below {shown[0]}", *(f"{low} to {high}" for low, high in pairwise(shown)), f"{shown[-1]} and more"]


def thinned(reference: Profile, most: int = MOST_PAGES) -> Profile:
    """At most so many pages of a profile, evenly taken."""
    n = len(reference.sites)
    if n <= most:
        return reference
    kept = np.linspace(0, n - 1, most).astype(np.int64)
    return Profile(
        reference.borders, reference.labels, {name: rows[kept] for name, rows in reference.counts.items()}, reference.sites[kept]
    )


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


def _other_profile(found: str) -> InputError:
    return InputError(
        f"a reference profile that this version does not know: {found}", expected="one that this version wrote", remedy="train the model again",
        rule="other-profile",
    )  # fmt: skip


def compare(reference: Profile, new: Profile, *, seed: int = 0, resamples: int = RESAMPLES) -> list[Shift]:
    """Compares new pages with the reference, feature by feature.

    Raises:
        InputError: There are too few new pages or reference sites, or the profiles are of other features.
    """
    if len(new.sites) < LEAST_PAGES:
        raise InputError(
            f"{len(new.sites)} pages", expected=f"{LEAST_PAGES} or more: fewer prove nothing", remedy="collect more pages", rule="too-few-pages"
        )  # fmt: skip
    if reference.counts.keys() != new.counts.keys():
        raise _other_profile(f"of {', '.join(reference.counts)}")
    usual = _usual(reference, new, seed, resamples)
    found = []
    for name, rows in reference.counts.items():
        before, now = _shares(rows.sum(axis=0)), _shares(new.counts[name].sum(axis=0))
        psi = float(_psi(before, now))
        shifted = psi > max(LEAST_INDEX, usual[name])
        found.append(
            Shift(
                name, psi, _jensen_shannon(before, now), usual[name], shifted, list(reference.labels[name]), before.tolist(), now.tolist()
            )
        )
    return sorted(found, key=lambda shift: -shift.psi)


def _usual(reference: Profile, new: Profile, seed: int, resamples: int) -> dict[str, float]:
    """The index that unshifted pages like the new ones stay below, feature by feature.

    The reference's sites are parted at random into two sets, as many as the new pages have on one side but no more than half, and
    compared. An index falls as the sites of both sides grow, so it is scaled to the numbers of sites that are compared in truth.
    """
    rng = np.random.default_rng(seed)
    _, place = np.unique(reference.sites, return_inverse=True)
    by_site = [np.flatnonzero(place == site) for site in range(int(place.max(initial=-1)) + 1)]
    total = len(by_site)
    if total < LEAST_SITES:
        raise InputError(
            f"a reference of {total} sites", expected=f"{LEAST_SITES} or more: how much sites differ must be known",
            remedy="train a model with more validation and test sites", rule="few-sites",
        )  # fmt: skip
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
    """Of how many equally large sites pages may be taken to be, and pages of each; those of no known site are parted as the reference's are."""
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
        model: Family and version.
        pages: New pages.
        sites: Of these, as far as known.
        shifts: Feature by feature, the largest index first.
    """

    model: str
    pages: int
    sites: int
    shifts: Sequence[Shift]


def check_drift(model: str, pages: Iterable[Page], *, seed: int = 0) -> Drift:
    """Labels new pages and compares them with the model's reference profile.

    Args:
        model: A folder or URI.
        pages: Unlabelled or labelled; labels are not looked at.
        seed: Of the resampling.

    Raises:
        InputError: As for `compare` and `read_reference`.
    """
    from train.labelling import load_labeler
    from train.registry import bundle_folder

    bundle = bundle_folder(model)
    labeler = load_labeler(str(bundle))
    reference, words = read_reference(bundle)
    sites: list[str] = []

    def texts() -> Iterator[tuple[str, list[str]]]:
        for page in track(pages, "labelling pages"):
            sites.append(page.site)
            yield page.page_id, page.texts

    # Records come a batch after their pages were taken: by their number, not side by side.
    new = profile(((sites[i], record) for i, record in enumerate(labeler.label(texts()))), words, labeler.topics, reference)
    return Drift(f"{labeler.family} {labeler.version}", len(new.sites), len(set(filter(None, sites))), compare(reference, new, seed=seed))


def write_reference(
    bundle: Path, train: Iterable[Sequence[str]], unseen: Sequence[tuple[str, Mapping[str, Any]]], topics: Sequence[str]
) -> list[Path]:
    """Writes a model's reference profile and the words it knows into its bundle's folder.

    Args:
        bundle: The folder.
        train: Segment texts of training pages.
        unseen: `(site, record)` of validation and test pages: how pages look that the model was not trained on.
        topics: The model's.

    Returns:
        The files written.
    """
    words = known_words(train)
    with written_aside(bundle / WORDS) as aside, aside.open("wb") as file:
        np.save(file, words, allow_pickle=False)
    thinned(profile(unseen, words, topics)).write(bundle / PROFILE)
    return [bundle / PROFILE, bundle / WORDS]


def read_reference(bundle: Path) -> tuple[Profile, np.ndarray]:
    """The reference profile of a bundle, and the words its model knows.

    Raises:
        InputError: It has none.
    """
    if not (bundle / PROFILE).is_file() or not (bundle / WORDS).is_file():
        raise InputError(
            "no reference profile in the bundle", expected=f"{PROFILE} and {WORDS}", remedy="train the model again with this version",
            path=bundle, rule="no-profile",
        )  # fmt: skip
    return Profile.read(bundle / PROFILE), np.load(bundle / WORDS, allow_pickle=False)

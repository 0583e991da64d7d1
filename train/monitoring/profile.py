"""How pages look to a model: the reference profile that its bundle carries."""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from train.common.errors import InputError
from train.common.files import read_json, write_text, written_aside
from train.runtime.text import ROLES, word_count

PROFILE, WORDS = "profile.json", "known-words.npy"
"""Files of a bundle."""
MOST_PAGES = 2_000
"""Reference pages that are kept: more would not sharpen what their sites tell."""
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
        features = {
            name: {"bins": list(self.labels[name]), "counts": rows.tolist()} for name, rows in self.counts.items()
        }
        borders = {name: list(values) for name, values in self.borders.items()}
        write_text(path, json.dumps({"borders": borders, "sites": self.sites.tolist(), "features": features}) + "\n")

    @classmethod
    def read(cls, path: Path) -> Profile:
        """Reads what `write` wrote."""
        saved = read_json(path)
        try:
            features = saved["features"]
            return cls(
                saved["borders"],
                {name: feature["bins"] for name, feature in features.items()},
                {name: np.array(feature["counts"], np.int64) for name, feature in features.items()},
                np.array(saved["sites"], np.int64),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise other_profile(repr(error)).at(path, None) from None


def profile(
    pages: Iterable[tuple[str, Mapping[str, Any]]],
    words: np.ndarray,
    topics: Sequence[str],
    reference: Profile | None = None,
) -> Profile:
    """The profile of labelled pages.

    Args:
        pages: `(site, record)`, records as `predict` prints them.
        words: The words that the model knows, as `known_words` returns them.
        topics: The names of the model's topics, in its order.
        reference: Gives the bins of pages that are to be compared with it; None finds them in these pages.
    """
    values: dict[str, list[Sequence[float]]] = {name: [] for name in (*_OF_SEGMENTS, *_OF_PAGES)}
    roles: list[np.ndarray] = []
    story_topics: list[np.ndarray] = []
    numbers: dict[str, int] = {}
    sites: list[int] = []
    for site, record in pages:
        segments = record["segments"]
        counts = [word_count(segment["text"]) for segment in segments]
        hashes = np.fromiter(_hashes([segment["text"] for segment in segments]), np.uint32)
        values["words a segment"].append(counts)
        values["confidence"].append([segment["confidence"] for segment in segments])
        values["segments a page"].append([len(segments)])
        values["words of the main story"].append(
            [sum(n for n, s in zip(counts, segments, strict=True) if s["role"] == "main")]
        )
        values["unknown words"].append([1 - float(np.isin(hashes, words).mean())] if len(hashes) else [])
        roles.append(np.bincount([ROLES.index(s["role"]) for s in segments], minlength=len(ROLES)))
        topic = next((story["topic"] for story in record["stories"] if story["story"] == 0), None)
        story_topics.append(np.eye(len(topics) + 1, dtype=np.int64)[-1 if topic is None else topics.index(topic)])
        sites.append(numbers.setdefault(site, len(numbers)) if site else -1)
    borders = (
        {**_OF_SEGMENTS, **{name: _fifths(values[name]) for name in _OF_PAGES}}
        if reference is None
        else dict(reference.borders)
    )
    counted = {
        name: np.array([_histogram(row, borders[name]) for row in rows], np.int64) for name, rows in values.items()
    }
    labels: dict[str, Sequence[str]] = {name: _names(borders[name]) for name in values} | {"role": ROLES}
    counted["role"] = np.array(roles, np.int64)
    if topics:
        labels["topic of the main story"], counted["topic of the main story"] = (
            [*topics, "no main story"],
            np.array(story_topics),
        )
    return Profile(borders, labels, counted, np.array(sites, np.int64))


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
    """A profile of at most `most` pages of the `reference`, evenly taken."""
    n = len(reference.sites)
    if n <= most:
        return reference
    kept = np.linspace(0, n - 1, most).astype(np.int64)
    return Profile(
        reference.borders,
        reference.labels,
        {name: rows[kept] for name, rows in reference.counts.items()},
        reference.sites[kept],
    )


def other_profile(found: str) -> InputError:
    """The error for a reference profile of another version."""
    return InputError(
        f"a reference profile that this version does not know: {found}",
        expected="one that this version wrote",
        remedy="train the model again",
        rule="other-profile",
    )


def write_reference(
    bundle: Path, train: Iterable[Sequence[str]], unseen: Sequence[tuple[str, Mapping[str, Any]]], topics: Sequence[str]
) -> list[Path]:
    """Writes a model's reference profile and the words it knows into its bundle's folder.

    Args:
        bundle: The bundle's folder.
        train: Segment texts of training pages.
        unseen: `(site, record)` of validation and test pages: how pages look that the model was not trained on.
        topics: The names of the model's topics, in its order.

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
            "no reference profile in the bundle",
            expected=f"{PROFILE} and {WORDS}",
            remedy="train the model again with this version",
            path=bundle,
            rule="no-profile",
        )
    return Profile.read(bundle / PROFILE), np.load(bundle / WORDS, allow_pickle=False)

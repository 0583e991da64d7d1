"""Sites whose labels look exchanged: a reading learnt from the other sites agrees with them more once two roles change
places."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator
from itertools import permutations

import numpy as np

from train.corpus.page import Page
from train.runtime.features import shifted
from train.runtime.page_features import SURFACE_NAMES, numeric_features
from train.runtime.text import ROLES, clean, word_count

PAGES_OF_SITE = 4
MOST_SITES = 1000
LEAST_SITES = 6
FOLDS = 2
TAUGHT = 100
"""So many segments of a page are kept, and so many of a site teach, evenly taken: a site counts the same however long
its pages are."""
MIN_WORDS = 3
"""As for scores: a menu label of a word or two tells a reading little."""
MARGIN = 0.5
"""By so much, in nats a segment, labels must fit better under other names."""
FLOOR = 0.02
"""No answer is surer than this, so that a few segments do not decide."""
AROUND = 2


class SwappedLabelDetector:
    """Keeps what is countable about a few pages of each site (a hash chooses them, whatever their order), and judges
    the sites at the end.

    A site is named when a reading of the other sites gives its labels, roles exchanged in one of the five ways, a
    likelihood better by `MARGIN` a segment. Of corpora with more than `MOST_SITES` sites, so many are looked at.
    """

    def __init__(self) -> None:
        self._kept: dict[str, list[tuple[int, str, np.ndarray, np.ndarray]]] = {}
        self._largest: list[tuple[int, str]] = []

    def page(self, page: Page) -> None:
        """Takes note of a labelled page."""
        pages = self._kept.get(page.site)
        if pages is None:
            if len(self._kept) >= MOST_SITES:
                if _rank(page.site) >= -self._largest[0][0]:
                    return
                del self._kept[heapq.heappop(self._largest)[1]]
            pages = self._kept[page.site] = []
            heapq.heappush(self._largest, (-_rank(page.site), page.site))
        rank = _rank(page.page_id)
        if len(pages) < PAGES_OF_SITE or rank < pages[-1][0]:
            scored = np.flatnonzero([word_count(text) >= MIN_WORDS for text in page.texts])
            scored = scored[_evenly(len(scored))]
            roles = np.array([ROLES.index(str(s.role)) for s in page.segments], np.int8)
            pages.append((rank, page.page_id, _features([clean(text) for text in page.texts])[scored], roles[scored]))
            pages.sort(key=lambda item: item[:2])
            del pages[PAGES_OF_SITE:]

    def findings(self) -> Iterator[str]:
        """Sites whose roles look exchanged, and how."""
        sites = {site: pages for site, pages in self._kept.items() if any(len(item[3]) for item in pages)}
        if len(sites) < LEAST_SITES:
            return
        for site, likelihoods in sorted(_judge(sites).items()):
            ways = list(permutations(range(len(ROLES))))
            best = int(likelihoods.argmax())
            if likelihoods[best] > likelihoods[0] + MARGIN:
                moved = ", ".join(f"{ROLES[a]} reads as {ROLES[b]}" for a, b in enumerate(ways[best]) if a != b)
                yield f"{site}: what is labelled {moved} ({len(sites[site])} of its pages looked at)"


def _evenly(count: int) -> np.ndarray:
    """At most `TAUGHT` of so many places, evenly taken."""
    return np.linspace(0, count - 1, min(TAUGHT, count)).astype(int)


def _rank(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _features(texts: list[str]) -> np.ndarray:
    """What is countable about each segment and its neighbours' shapes; float32 `[len(texts), features]`."""
    own = numeric_features(texts)
    shapes = own[:, : len(SURFACE_NAMES)]
    return np.hstack([own, *(shifted(shapes, offset, [len(texts)]) for offset in range(-AROUND, AROUND + 1) if offset)])


def _judge(sites: dict[str, list[tuple[int, str, np.ndarray, np.ndarray]]]) -> dict[str, np.ndarray]:
    """Site -> mean log-likelihood of its labels, `[6]`: as they are, then with roles exchanged, by a reading of other
    sites."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    names = sorted(sites)
    rows = {site: np.concatenate([item[2] for item in pages]) for site, pages in sites.items()}
    given = {site: np.concatenate([item[3] for item in pages]).astype(int) for site, pages in sites.items()}
    likelihoods: dict[str, np.ndarray] = {}
    for fold in range(FOLDS):
        held, others = names[fold::FOLDS], [site for k, site in enumerate(names) if k % FOLDS != fold]
        taught = {site: _evenly(len(given[site])) for site in others}
        labels = np.concatenate([given[site][some] for site, some in taught.items()])
        if len(np.unique(labels)) < 2:
            return {}
        weight = np.concatenate([np.full(len(some), TAUGHT / len(some)) for some in taught.values()])
        model = HistGradientBoostingClassifier(
            max_iter=30, max_leaf_nodes=15, max_bins=32, early_stopping=False, random_state=0
        )
        model.fit(np.concatenate([rows[site][some] for site, some in taught.items()]), labels, sample_weight=weight)
        read = np.full((sum(len(given[site]) for site in held), len(ROLES)), FLOOR)
        read[:, model.classes_] = model.predict_proba(np.concatenate([rows[site] for site in held]))
        log = np.log(np.maximum(read, FLOOR))
        for site, own in zip(held, np.split(log, np.cumsum([len(given[site]) for site in held])[:-1]), strict=True):
            under = [np.array(way)[given[site]] for way in permutations(range(len(ROLES)))]
            likelihoods[site] = np.array([own[np.arange(len(own)), names].mean() for names in under])
    return likelihoods

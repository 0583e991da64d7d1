"""Which texts share running words: sampled word shingles, for near-duplicates and for stories on more than one site.

Hashes of 8-word shingles are kept when divisible by a constant ("0 mod p" sampling, Manber 1994; Broder 1997), so that
the same passage leaves the same prints wherever it stands, whole or as part of a longer line.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

_WORD = re.compile(r"\w+")
SHINGLE_WORDS = 8
SAMPLE = 4
"""One shingle in so many is kept."""
SHARED_PRINTS = 4
"""So many shared prints, about two dozen words in a row, make two texts relatives."""


def prints(text: str) -> set[int]:
    """Sampled shingle hashes of a text; empty when it has fewer than 8 words."""
    words = _WORD.findall(text.casefold())
    hashes = (zlib.crc32(" ".join(words[i : i + SHINGLE_WORDS]).encode("utf-8", "replace")) for i in range(len(words) - SHINGLE_WORDS + 1))
    return {h for h in hashes if h % SAMPLE == 0}


def relatives(items: Iterable[set[int]], *, shared: int = SHARED_PRINTS, common: int = 200) -> Counter[tuple[int, int]]:
    """Pairs of items that share at least `shared` prints.

    Args:
        items: Prints of each item.
        shared: Least number of shared prints.
        common: A print that stands in more items than this is a phrase of the trade, not a copied passage; left out.

    Returns:
        Number of shared prints for each pair `(i, j)`, i < j.
    """
    holders: defaultdict[int, list[int]] = defaultdict(list)
    for i, item in enumerate(items):
        for value in item:
            holders[value].append(i)
    counts: Counter[tuple[int, int]] = Counter()
    for where in holders.values():
        if 1 < len(where) <= common:
            counts.update((a, b) for k, a in enumerate(where) for b in where[k + 1 :])
    return Counter({pair: n for pair, n in counts.items() if n >= shared})


def components(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Groups of items 0 … count - 1 that pairs connect, each sorted, ordered by their first item."""
    edges = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    _, labels = connected_components(sp.coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count)), directed=False)
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for item, label in enumerate(labels):
        groups[label].append(item)
    return sorted(groups.values())

"""Which texts share running words, wherever they stand, whole or as part of a longer line.

Two ways: shingle hashes, for near-duplicates among a few thousand texts, are the hashes of 8-word shingles that a
constant divides ("0 mod p" sampling, Manber 1994; Broder 1997); passages, for stories on more than one site of a large
corpus, are looked up.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
SHINGLE_WORDS = 8
SAMPLE = 4
"""One shingle in so many is kept."""
SHARED_SHINGLES = 4
"""So many shared hashes, about two dozen words in a row, make two texts relatives."""
PASSAGE_WORDS, WINNOWED = 20, 9
"""Words of a passage, and of how many passages in a row the one with the smallest hash is kept."""
_BASE = np.uint64(0x9E3779B97F4A7C15)


def words(text: str) -> list[str]:
    """A text's words, case folded; of Thai, Chinese, Japanese and Korean each character, for they set no spaces or
    few."""
    return _WORD.findall(text.casefold())


def shingle_hashes(text: str) -> set[int]:
    """Sampled shingle hashes of a text; empty when it has fewer than 8 words."""
    own = words(text)
    hashes = (
        zlib.crc32(" ".join(own[i : i + SHINGLE_WORDS]).encode("utf-8", "replace"))
        for i in range(len(own) - SHINGLE_WORDS + 1)
    )
    return {h for h in hashes if h % SAMPLE == 0}


def passages(text: str) -> np.ndarray:
    """64-bit names of some of a text's passages of 20 running words, picked by winnowing (Schleimer, Wilkerson & Aiken
    2003).

    Texts that share 28 running words share a name; those that share fewer than 20 do not. Looking names up takes time
    and memory linear in the text, where comparing pairs of pages would grow with the square of how often a story is
    shown.

    Returns:
        uint64 `[n]`, sorted, each once.
    """
    crcs = [zlib.crc32(word.encode("utf-8", "replace")) for word in words(text)]
    count = len(crcs) - PASSAGE_WORDS + 1
    if count < 1:
        return np.empty(0, np.uint64)
    hashes = np.array(crcs, dtype=np.uint64)
    names = np.zeros(count, dtype=np.uint64)
    for i in range(PASSAGE_WORDS):
        names = names * _BASE + hashes[i : i + count]
    names = (
        names ^ (names >> np.uint64(29))
    ) * _BASE  # the smallest must be anyone, not the one with a rare first word
    return np.unique(np.lib.stride_tricks.sliding_window_view(names, min(count, WINNOWED)).min(axis=1))


def shared_passages(items: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Passages that more than one item holds.

    Args:
        items: Passages of each item, as `passages` gives them.

    Returns:
        `(passage number from 0, item)` pairs as two int64 arrays, sorted by passage.
    """
    lengths = [len(item) for item in items]
    if not sum(lengths):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    names = np.concatenate(items)
    holders = np.repeat(np.arange(len(items)), lengths)
    order = np.argsort(names, kind="stable")
    names, holders = names[order], holders[order]
    _, numbers, counts = np.unique(names, return_inverse=True, return_counts=True)
    several = counts[numbers] > 1
    _, renumbered = np.unique(numbers[several], return_inverse=True)
    return renumbered.astype(np.int64), holders[several]


def relatives(
    items: Iterable[set[int]], *, shared: int = SHARED_SHINGLES, common: int = 200
) -> Counter[tuple[int, int]]:
    """Pairs of items that share at least `shared` shingle hashes.

    Args:
        items: The sampled shingle hashes of each item.
        shared: Least number of shared hashes.
        common: A hash that stands in more items than this is a phrase of the trade, not a copied passage; left out.

    Returns:
        Number of shared hashes for each pair `(i, j)`, i < j.
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
    """Groups of items that pairs connect, each sorted, ordered by their first item.

    Args:
        count: The number of items, 0 … count - 1.
        pairs: Pairs of connected items.
    """
    edges = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    _, labels = connected_components(
        sp.coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count)), directed=False
    )
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for item, label in enumerate(labels):
        groups[label].append(item)
    return sorted(groups.values())

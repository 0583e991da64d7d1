"""What the parts of a split share: exact and near duplicates of segments, by role; and apart, what many sites rightly
share.

Exact: the same text after NFKC, case folding and collapsing of whitespace. Near: Jaccard similarity of character
    5-grams of at
least 0.8, estimated by MinHash (Broder 1997) with 128 permutations and found by locality-sensitive hashing (rensa).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from train.corpus.page import Page
from train.corpus.splits.split import PARTS
from train.runtime.text import ROLES, word_count

THRESHOLD, PERMUTATIONS, BANDS, GRAM = 0.8, 128, 16, 5
NEAR_WORDS = 8
"""Shorter texts are alike by chance; only exact copies of them are looked for."""
LEAST_WORDS = 3
"""As for scores: shorter segments are not scored, and so do not leak."""
SHARED_SITES = 3
"""Boilerplate, or a few words of any role, on so many sites is the language of the web ('Read more', '2 hours ago'),
not a leak."""
EXAMPLES = 3
CANDIDATES = 50
"""So many texts of the same buckets are compared: near copies by the thousand are found with the first."""


@dataclass
class LeakReport:
    """What leaked from one part of a split into another.

    Args:
        segments: Scored segments of each part, by role.
        leaked: `(from, into, role, kind)` -> segments; `kind` is `exact` or `near`. A segment counts once for each
            `from`.
        shared_phrases: `(from, into, role)` -> segments left out because many sites have them.
        examples: For each key of `leaked`, up to three `(page id from, page id into, text's beginning)`.
        items: part -> page id -> indices of its leaked segments, whatever part they leaked from.
    """

    segments: dict[str, Counter[str]] = field(default_factory=dict)
    leaked: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    shared_phrases: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    examples: defaultdict[tuple[str, str, str, str], list[tuple[str, str, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    items: dict[str, dict[str, list[int]]] = field(default_factory=dict)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each pair of parts and role: counts and their share of the part that was leaked into."""
        rows = []
        for source, into in (("train", "validation"), ("train", "test"), ("validation", "test")):
            for role in ROLES:
                exact, near = (self.leaked[source, into, role, kind] for kind in ("exact", "near"))
                total = self.segments.get(into, Counter())[role]
                share = (exact + near) / total if total else 0.0
                phrases = self.shared_phrases[source, into, role]
                rows.append(
                    {
                        "from": source,
                        "into": into,
                        "role": role,
                        "exact": exact,
                        "near": near,
                        "of": total,
                        "share": share,
                        "shared_phrases": phrases,
                    }
                )
        return rows

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "rows": self.rows(),
            "examples": [
                {"from": a, "into": b, "role": role, "kind": kind, "pages": [one, other], "text": text}
                for (a, b, role, kind), examples in sorted(self.examples.items())
                for one, other, text in examples
            ],
            "items": self.items,
        }


def normal(text: str) -> str:
    """The text as exact copies are compared: NFKC, case folded, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(slots=True)
class _Text:
    """A distinct text of a part: where it stood first."""

    page_id: str
    key: bytes


def find_leaks(parts: Mapping[str, Iterable[Page]]) -> LeakReport:
    """Looks for texts of a part in the parts that are trained on or tuned on before it.

    Time and memory are linear in the distinct texts; pages are read one by one, each part once.

    Args:
        parts: Labelled pages of train, validation and test, each iterated over once.
    """
    report = LeakReport()
    sites: defaultdict[bytes, set[str]] = defaultdict(set)
    seen: list[tuple[str, _Index]] = []
    matches: list[tuple[str, str, str, str, str, bytes, str, int, str]] = []
    for into in PARTS:
        own = _Index()
        report.segments[into] = Counter()
        for page in parts[into]:
            for i, segment in enumerate(page.segments):
                words, role = word_count(segment.text), str(segment.role)
                if words < LEAST_WORDS:
                    continue
                report.segments[into][role] += 1
                text = normal(segment.text)
                key = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).digest()
                if (role == "boilerplate" or words < NEAR_WORDS) and len(sites[key]) < SHARED_SITES:
                    sites[key].add(page.site)
                hashed, like = own.add(key, text, page.page_id, words)
                if role == "boilerplate" and like is not None and len(sites[like]) < SHARED_SITES:
                    sites[like].add(page.site)  # near copies of boilerplate count for the text they are like
                for source, index in seen:
                    match = index.find(key, hashed)
                    if match is not None:
                        kind, there = match
                        matches.append(
                            (source, into, role, kind, there.page_id, there.key, page.page_id, i, segment.text[:120])
                        )
        seen.append((into, own))
    for source, into, role, kind, there_id, there_key, page_id, i, text in matches:
        # Only now is it known on how many sites each text stands.
        if len(sites.get(there_key, ())) >= SHARED_SITES:
            report.shared_phrases[source, into, role] += 1
            continue
        report.leaked[source, into, role, kind] += 1
        examples = report.examples[source, into, role, kind]
        if len(examples) < EXAMPLES:
            examples.append((there_id, page_id, text))
        where = report.items.setdefault(into, {}).setdefault(page_id, [])
        if i not in where[-1:]:
            where.append(i)
    return report


class _Index:
    """The distinct texts of one part, to be found again exactly or nearly."""

    def __init__(self) -> None:
        import rensa

        self._rensa = rensa
        self._exact: dict[bytes, _Text] = {}
        self._near = rensa.RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
        self._hashes: list[Any] = []
        self._texts: list[_Text] = []
        self._known: dict[bytes, Any] = {}

    def add(self, key: bytes, text: str, page_id: str, words: int) -> tuple[Any, bytes | None]:
        """Takes note of a text.

        Returns:
            Its MinHash, or None when it is too short for one; and the key of an earlier text of this part that it is a
            near copy of: a near copy is not indexed, for its original stands for it.
        """
        if key in self._exact:
            return self._known.get(key), None
        self._exact[key] = _Text(page_id, key)
        if words < NEAR_WORDS:
            return None, None
        hashed = self._rensa.RMinHash(num_perm=PERMUTATIONS, seed=1)
        plain = text.encode("utf-8", "replace").decode()
        hashed.update([plain[i : i + GRAM] for i in range(max(1, len(plain) - GRAM + 1))])
        like = self._like(hashed)
        if like is None:
            self._near.insert(len(self._hashes), hashed)
            self._hashes.append(hashed)
            self._texts.append(self._exact[key])
        self._known[key] = hashed
        return hashed, None if like is None else like.key

    def _like(self, hashed: Any) -> _Text | None:
        for candidate in self._near.query(hashed)[:CANDIDATES]:
            if hashed.jaccard(self._hashes[candidate]) >= THRESHOLD:
                found: _Text = self._texts[candidate]
                return found
        return None

    def find(self, key: bytes, hashed: Any) -> tuple[str, _Text] | None:
        """`exact` or `near` and the text that is alike, or None."""
        if key in self._exact:
            return "exact", self._exact[key]
        like = None if hashed is None else self._like(hashed)
        return None if like is None else ("near", like)

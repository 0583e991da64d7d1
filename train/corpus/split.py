"""Train, validation and test by site, with sites that show the same stories kept together."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from train.corpus.overlap import components, prints, relatives
from train.corpus.page import Page
from train.errors import InputError
from train.files import sha256_json

PARTS = ("train", "validation", "test")
_STORY_WORDS = 20


@dataclass(frozen=True)
class Split:
    """The parts of a corpus.

    Args:
        parts: Pages of `train`, `validation` and `test`.
        linked_sites: Pairs of sites that share stories and so had to stay together; empty when parts were given.
    """

    parts: Mapping[str, list[Page]]
    linked_sites: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Sites and page ids of each part, counts, and the sha256 that names this split."""
        body = {
            part: {"sites": sorted({p.site for p in pages}), "page_ids": [p.page_id for p in pages]} for part, pages in self.parts.items()
        }
        return {"sha256": self.sha256, "linked_sites": [list(pair) for pair in self.linked_sites], "parts": body}

    @property
    def sha256(self) -> str:
        """Hash over which page is in which part."""
        return sha256_json({part: sorted(page.page_id for page in pages) for part, pages in self.parts.items()})

    def shared_stories(self) -> int:
        """Pairs of pages in different parts that share a passage of main or related text: the leak that must be 0."""
        owner = [part for part in PARTS for _ in self.parts[part]]
        pairs = relatives(story_prints(page) for part in PARTS for page in self.parts[part])
        return sum(owner[a] != owner[b] for a, b in pairs)


def story_prints(page: Page) -> set[int]:
    """Prints of a page's running story text; boilerplate is left out, for many sites rightly share it."""
    return set().union(*(prints(s.text) for s in page.segments if s.role in ("main", "related") and len(s.text.split()) >= _STORY_WORDS))


def split_by_site(pages: Sequence[Page], *, validation_share: float, test_share: float, seed: int) -> Split:
    """Puts whole groups of sites into parts: no site, and no story of some length, is in two of them.

    Args:
        pages: Labelled pages.
        validation_share: Wished share of pages.
        test_share: Wished share of pages.
        seed: Another seed, another split.

    Raises:
        InputError: There are fewer than three groups of sites that share no story.
    """
    groups, linked = _site_groups(pages)
    if len(groups) < len(PARTS):
        sites = sum(map(len, groups))
        raise InputError(
            f"the corpus falls into {len(groups)} group{'s'[: len(groups) != 1]} of sites without common stories ({sites} sites, {len(pages)} pages)",
            expected="at least 3 groups: one each for train, validation and test",
            remedy="add pages of other sites, or give corpus.train_path, corpus.validation_path and corpus.test_path",
            rule="too-small-to-split",
        )
    per_site = Counter(page.site for page in pages)
    shares = {"train": 1 - validation_share - test_share, "validation": validation_share, "test": test_share}
    room = {part: share * len(pages) for part, share in shares.items()}
    random.Random(seed).shuffle(groups)
    groups.sort(key=lambda group: -sum(per_site[site] for site in group))
    part_of: dict[str, str] = {}
    # Largest group first, each to the part that still lacks most pages; the last ones go to parts that have none.
    for i, group in enumerate(groups):
        empty = set(PARTS) - set(part_of.values())
        part = max(empty if len(groups) - i <= len(empty) else PARTS, key=lambda p: (room[p], p))
        room[part] -= sum(per_site[site] for site in group)
        part_of |= dict.fromkeys(group, part)
    return Split({part: [page for page in pages if part_of[page.site] == part] for part in PARTS}, tuple(linked))


def given_split(parts: Mapping[str, list[Page]]) -> Split:
    """A split the user made, after checking that it keeps sites and pages apart.

    Raises:
        InputError: A site or a page id is in two parts.
    """
    for what, values in (("site", "site"), ("page_id", "page_id")):
        homes: defaultdict[str, set[str]] = defaultdict(set)
        for part, pages in parts.items():
            for page in pages:
                homes[getattr(page, values)].add(part)
        twice = sorted(value for value, where in homes.items() if len(where) > 1)
        if twice:
            raise InputError(
                f"{what} {twice[0]!r} is in {' and '.join(p for p in PARTS if p in homes[twice[0]])}"
                + (f" ({len(twice)} {what}s in all are in two parts)" if len(twice) > 1 else ""),
                expected=f"every {what} in one part: a model is judged on {what}s it has not seen",
                remedy="move its pages into one file, or give corpus.path and let us split by site",
                rule="part-overlap",
            )
    return Split(dict(parts))


def _site_groups(pages: Sequence[Page]) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Sites that share no story with another group's, and the pairs of sites that do share one."""
    sites = sorted({page.site for page in pages})
    index = {site: i for i, site in enumerate(sites)}
    related = relatives(story_prints(page) for page in pages)
    linked = sorted({tuple(sorted((index[pages[a].site], index[pages[b].site]))) for a, b in related if pages[a].site != pages[b].site})
    groups = [[sites[i] for i in group] for group in components(len(sites), linked)]  # type: ignore[arg-type]
    return groups, [(sites[a], sites[b]) for a, b in linked]


def describe(split: Split) -> Iterable[tuple[str, int, int, int]]:
    """`(part, sites, pages, segments)` of each part."""
    for part in PARTS:
        pages = split.parts[part]
        yield part, len({p.site for p in pages}), len(pages), sum(len(p.segments) for p in pages)

"""Train, validation and test by site, alike in their mix of roles, with sites that show the same stories kept
together."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.common.errors import InputError
from train.common.files import read_json, sha256_json
from train.corpus.page import Page
from train.corpus.splits.near_duplicates import components, shared_passages
from train.corpus.splits.page_summary import PageFacts
from train.runtime.text import ROLES

PARTS = ("train", "validation", "test")
COMMON_SITES = 100
"""A passage on more sites than this is a phrase of the trade (an agency's footer), not a copied story: it ties no
sites."""
SWAPS = 2000
"""Tries to exchange two groups of sites between parts, to make their mix of roles alike."""
LEAST_SEGMENTS, LEAST_STORIES = 20, 3
"""A part with fewer segments of a role, or fewer stories of a topic, says little about it."""


@dataclass(frozen=True)
class Split:
    """Which page is in which part.

    Args:
        parts: Part -> the summaries of its pages, for `train`, `validation` and `test`.
        linked_sites: Groups of sites that share stories and so had to stay together; empty when parts were given.
        left_out: Pages in no part, because they would break the split by time.
        made_by: How it was made, for the file.
    """

    parts: Mapping[str, list[PageFacts]]
    linked_sites: tuple[tuple[str, ...], ...] = ()
    left_out: tuple[str, ...] = ()
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Sites and page ids of each part, and the sha256 that names this split."""
        body = {
            part: {"sites": sorted({p.site for p in pages}), "page_ids": [p.page_id for p in pages]}
            for part, pages in self.parts.items()
        }
        return {
            "sha256": self.sha256,
            "made_by": dict(self.made_by),
            "linked_sites": [list(group) for group in self.linked_sites],
            "left_out": list(self.left_out),
            "parts": body,
        }

    @property
    def sha256(self) -> str:
        """Hash over which page is in which part."""
        return sha256_json({part: sorted(page.page_id for page in pages) for part, pages in self.parts.items()})

    def select(self, pages: Iterable[Page]) -> dict[str, list[Page]]:
        """The pages of each part, in the corpus' order."""
        home = {fact.page_id: part for part, facts in self.parts.items() for fact in facts}
        chosen: dict[str, list[Page]] = {part: [] for part in self.parts}
        for page in pages:
            if page.page_id in home:
                chosen[home[page.page_id]].append(page)
        return chosen

    def shared_stories(self) -> int:
        """Validation and test pages that share a passage of main or related text with another part: the leak that must
        be 0."""
        pages = [page for part in PARTS for page in self.parts[part]]
        owner = np.repeat(np.arange(len(PARTS)), [len(self.parts[part]) for part in PARTS])
        passage, page = shared_passages([p.passages for p in pages])
        if not len(passage):
            return 0
        first = np.flatnonzero(np.diff(passage, prepend=-1))
        low, high = np.minimum.reduceat(owner[page], first), np.maximum.reduceat(owner[page], first)
        leaking = page[(low != high)[passage]]
        return int(np.count_nonzero(owner[np.unique(leaking)]))

    def warnings(self) -> list[str]:
        """Roles and topics of which a part has too few to say much."""
        answer = []
        topics = sorted({topic for pages in self.parts.values() for page in pages for topic in page.topics})
        for part in PARTS:
            counts = np.sum([page.roles for page in self.parts[part]], axis=0)
            answer += [
                f"{part} has {count} {role} segments; fewer than {LEAST_SEGMENTS} say little about them"
                for role, count in zip(ROLES, counts, strict=True)
                if count < LEAST_SEGMENTS
            ]
            stories = Counter(topic for page in self.parts[part] for topic in page.topics)
            few = [topic for topic in topics if stories[topic] < LEAST_STORIES]
            if few:
                answer.append(
                    f"{part} has fewer than {LEAST_STORIES} stories of {', '.join(few[:8])}{' …' * (len(few) > 8)}"
                )
        return answer


def split_by_site(
    facts: Sequence[PageFacts], *, validation_share: float, test_share: float, seed: int, by_time: bool = False
) -> Split:
    """Puts whole groups of sites into parts: no site, and no story of some length, is in two of them.

    Groups go, largest first, to the part whose pages and role counts they bring nearest to its share.

    Args:
        facts: The summaries of the labelled pages.
        validation_share: The share of pages that validation is to have.
        test_share: The share of pages that test is to have.
        seed: Seeds the order of groups; another seed gives another split.
        by_time: Train on the past, test on the future: groups with the latest pages go to test, then those before to
            validation, and pages on the wrong side of the days that separate the parts, or without a date, are left
            out.

    Raises:
        InputError: There are fewer than three groups of sites that share no story.
    """
    groups, linked = _site_groups(facts)
    _require_groups(groups, facts, len(PARTS))
    shares = {"train": 1 - validation_share - test_share, "validation": validation_share, "test": test_share}
    made_by = {"by": "time and site" if by_time else "site", "shares": shares, "seed": seed}
    if by_time:
        return _split_by_time(facts, groups, shares, linked, made_by)
    home = _deal(groups, facts, shares, seed)
    parts = {part: [page for page in facts if home[page.site] == part] for part in PARTS}
    return Split(parts, linked, (), made_by)


def folds(facts: Sequence[PageFacts], *, count: int, validation_share: float, seed: int) -> list[Split]:
    """Cross-validation by site: each page is in the test part of exactly one of the splits.

    Args:
        facts: The summaries of the labelled pages.
        count: The number of splits.
        validation_share: The share of the pages outside test that validation is to have.
        seed: Seeds the order of groups; another seed gives other folds.

    Raises:
        InputError: There are too few groups of sites that share no story.
    """
    groups, linked = _site_groups(facts)
    _require_groups(groups, facts, max(count, len(PARTS)))
    tests = _deal(groups, facts, {str(i): 1 / count for i in range(count)}, seed)
    answer = []
    for i in range(count):
        rest = [group for group in groups if tests[group[0]] != str(i)]
        if len(rest) < 2:
            raise InputError(
                f"{len(rest)} group of sites is left for training and validation in fold {i}",
                expected="at least 2",
                remedy="name more folds, or add pages of other sites",
                rule="too-small-to-split",
            )
        home = _deal(rest, facts, {"train": 1 - validation_share, "validation": validation_share}, seed)
        home |= {site: "test" for group in groups for site in group if tests[group[0]] == str(i)}
        parts = {part: [page for page in facts if home[page.site] == part] for part in PARTS}
        answer.append(
            Split(
                parts,
                linked,
                (),
                {"by": "site", "fold": i, "folds": count, "validation_share": validation_share, "seed": seed},
            )
        )
    return answer


def given_split(parts: Mapping[str, Sequence[PageFacts]]) -> Split:
    """A split that the user made, after checking that it keeps sites and pages apart; `parts` are the summaries of each
    part's pages.

    Raises:
        InputError: A site or a page id is in two parts.
    """
    for what in ("site", "page_id"):
        homes: defaultdict[str, set[str]] = defaultdict(set)
        for part, pages in parts.items():
            for page in pages:
                homes[getattr(page, what)].add(part)
        twice = sorted(value for value, where in homes.items() if len(where) > 1)
        if twice:
            raise InputError(
                f"{what} {twice[0]!r} is in {' and '.join(p for p in PARTS if p in homes[twice[0]])}"
                + (f" ({len(twice)} {what}s in all are in two parts)" if len(twice) > 1 else ""),
                expected=f"every {what} in one part: a model is judged on {what}s it has not seen",
                remedy="move its pages into one part, or give corpus.path and let us split by site",
                rule="part-overlap",
            )
    return Split({part: list(pages) for part, pages in parts.items()}, made_by={"by": "given parts"})


def read_split(path: Path, facts: Sequence[PageFacts]) -> Split:
    """A split that was saved, for the same corpus.

    Args:
        path: The saved split.
        facts: The summaries of the corpus' pages.

    Raises:
        InputError: The file is no split, names other pages than the corpus has, or has a site in two parts.
    """
    saved = read_json(path)
    try:
        ids = {part: list(saved["parts"][part]["page_ids"]) for part in PARTS}
        left_out, groups = tuple(saved.get("left_out", ())), tuple(map(tuple, saved.get("linked_sites", ())))
        named, made_by = str(saved["sha256"]), dict(saved.get("made_by", {}))
        known = {fact.page_id: fact for fact in facts}
        missing = [page_id for part in PARTS for page_id in ids[part] if page_id not in known]
        unknown = known.keys() - {page_id for part in PARTS for page_id in ids[part]} - set(left_out)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise InputError(
            f"no split: {error!r}",
            expected="a file of `make split`",
            remedy="write it again",
            path=path,
            rule="bad-split",
        ) from None
    if missing or unknown:
        name = (missing or sorted(unknown))[0]
        raise InputError(
            f"{len(missing)} of its pages are not in the corpus and {len(unknown)} of the corpus' pages are not in "
            f"it, e.g. {name!r}",
            expected="a split of this very corpus",
            remedy="split again with `make split`",
            path=path,
            rule="bad-split",
        )
    try:
        checked = given_split({part: [known[page_id] for page_id in ids[part]] for part in PARTS})
    except InputError as error:
        raise error.at(path, None) from None
    split = Split(checked.parts, groups, left_out, made_by)
    if split.sha256 != named:
        raise InputError(
            f"its pages hash to {split.sha256[:12]}, it says {named[:12]}",
            expected="a file nobody edited",
            remedy="split again",
            path=path,
            rule="bad-split",
        )
    return split


def _require_groups(groups: Sequence[Sequence[str]], facts: Sequence[PageFacts], least: int) -> None:
    if len(groups) < least:
        sites = sum(map(len, groups))
        raise InputError(
            f"the corpus falls into {len(groups)} group{'s'[: len(groups) != 1]} of sites without common stories "
            f"({sites} sites, {len(facts)} pages)",
            expected=f"at least {least} groups: one for each part",
            remedy="add pages of other sites, or give corpus.train_path, corpus.validation_path and corpus.test_path",
            rule="too-small-to-split",
        )


def _deal(
    groups: Sequence[Sequence[str]], facts: Sequence[PageFacts], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Site -> part, whole groups at a time, so that every part has its share of pages and of each role."""
    index = {site: i for i, group in enumerate(groups) for site in group}
    sizes = np.zeros((len(groups), 1 + len(ROLES)))
    for page in facts:
        if page.site in index:
            sizes[index[page.site]] += (1, *page.roles)
    sizes /= np.maximum(sizes.sum(axis=0), 1)
    weights = np.array([1.0] + [1 / len(ROLES)] * len(ROLES))
    order = list(range(len(groups)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda g: -sizes[g, 0])
    filled = {part: np.zeros(sizes.shape[1]) for part in shares}
    chosen: dict[int, str] = {}
    for i, g in enumerate(order):
        empty = [part for part in shares if not filled[part].any()]
        open_parts = empty if len(order) - i <= len(empty) else list(shares)

        def gain(part: str, g: int = g) -> tuple[float, str]:
            lacking = shares[part] - filled[part]
            return float(weights @ (lacking**2 - (lacking - sizes[g]) ** 2) / shares[part]), part

        part = max(open_parts, key=gain)
        filled[part] += sizes[g]
        chosen[g] = part
    _swap(chosen, sizes, filled, {part: weights / share for part, share in shares.items()}, shares, random.Random(seed))
    return {site: part for g, part in chosen.items() for site in groups[g]}


def _swap(
    chosen: dict[int, str],
    sizes: np.ndarray,
    filled: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    shares: Mapping[str, float],
    rng: random.Random,
) -> None:
    """Exchanges two groups of different parts wherever that brings both nearer to their shares; with few groups, greed
    is not enough."""
    for _ in range(SWAPS if len(set(chosen.values())) > 1 else 0):
        a, b = rng.sample(range(len(sizes)), 2)
        one, other = chosen[a], chosen[b]
        if one == other:
            continue
        moved = sizes[b] - sizes[a]
        gaps = filled[one] - shares[one], filled[other] - shares[other]
        worse = weights[one] @ ((gaps[0] + moved) ** 2 - gaps[0] ** 2) + weights[other] @ (
            (gaps[1] - moved) ** 2 - gaps[1] ** 2
        )
        if worse < -1e-12:
            filled[one][:] += moved
            filled[other][:] -= moved
            chosen[a], chosen[b] = other, one


def _split_by_time(
    facts: Sequence[PageFacts],
    groups: Sequence[Sequence[str]],
    shares: Mapping[str, float],
    linked: tuple[tuple[str, ...], ...],
    made_by: Mapping[str, Any],
) -> Split:
    dated = [page for page in facts if page.date is not None]
    dates: defaultdict[str, list[str]] = defaultdict(list)
    for page in dated:
        dates[page.site].append(str(page.date))
    medians = sorted(
        (sorted(found)[len(found) // 2], group)
        for group in groups
        if (found := [d for site in group for d in dates[site]])
    )
    if len(medians) < len(PARTS):
        raise InputError(
            f"{len(medians)} groups of sites have pages with a date",
            expected="at least 3, dates written YYYY-MM-DD",
            remedy="add dates, or split by site alone",
            rule="too-small-to-split",
        )
    home: dict[str, str] = {}
    seen = 0.0
    for k, (_, group) in enumerate(medians):
        part = (
            "train"
            if seen < shares["train"]
            else "validation"
            if seen < shares["train"] + shares["validation"]
            else "test"
        )
        if "validation" not in home.values() and (part == "test" or len(medians) - k == 2):
            part = "validation"  # a large group may have stepped over it: what is tested must come later
        part = "test" if len(medians) - k == 1 else part
        home |= dict.fromkeys(group, part)
        seen += sum(len(dates[site]) for site in group) / len(dated)
    chosen = {part: [page for page in dated if home[page.site] == part] for part in PARTS}
    first = _border(chosen["train"], chosen["validation"])
    second = max(first, _border(chosen["validation"], chosen["test"]))
    kept = {
        "train": [p for p in chosen["train"] if str(p.date) < first],
        "validation": [p for p in chosen["validation"] if first <= str(p.date) < second],
        "test": [p for p in chosen["test"] if str(p.date) >= second],
    }
    empty = [part for part in PARTS if not kept[part]]
    if empty:
        raise InputError(
            f"nothing is left for {' and '.join(empty)}: sites have pages of the same days",
            expected="sites whose pages are of other days",
            remedy="split by site alone (corpus.split_by: site)",
            rule="too-small-to-split",
        )
    inside = {page.page_id for pages in kept.values() for page in pages}
    left_out = tuple(page.page_id for page in facts if page.page_id not in inside)
    return Split(kept, linked, left_out, {**made_by, "validation_from": first, "test_from": second})


def _border(earlier: Sequence[PageFacts], later: Sequence[PageFacts]) -> str:
    """The day that keeps the largest shares of the earlier pages before it and of the later ones from it on."""
    before, after = (sorted(str(page.date) for page in pages) for pages in (earlier, later))

    def kept(day: str) -> float:
        return bisect_left(before, day) / max(1, len(before)) - bisect_left(after, day) / max(1, len(after))

    return max(sorted({*before, *after}), key=kept)


def _site_groups(facts: Sequence[PageFacts]) -> tuple[list[list[str]], tuple[tuple[str, ...], ...]]:
    """Sites in groups that share no story with another group's; and the groups of more than one."""
    sites = sorted({page.site for page in facts})
    index = {site: i for i, site in enumerate(sites)}
    passage, page = shared_passages([fact.passages for fact in facts])
    site = np.array([index[fact.site] for fact in facts], np.int64)[page] if len(page) else page
    pairs = np.unique(np.stack([passage, site], axis=1), axis=0) if len(page) else np.empty((0, 2), np.int64)
    numbers, counts = np.unique(pairs[:, 0], return_counts=True)
    tying = pairs[np.isin(pairs[:, 0], numbers[(counts > 1) & (counts <= COMMON_SITES)])]
    # Sites and passages are the two sides of a graph: sites that hold the same passage end in the same component.
    edges = [(int(s), len(sites) + int(p)) for p, s in tying]
    found = components(len(sites) + (int(passage[-1]) + 1 if len(passage) else 0), edges)
    groups = [[sites[i] for i in group if i < len(sites)] for group in found]
    groups = [group for group in groups if group]
    return groups, tuple(tuple(group) for group in groups if len(group) > 1)


def describe(split: Split) -> Iterable[tuple[str, int, int, int, tuple[int, ...]]]:
    """`(part, sites, pages, segments, segments of each role)` of each part."""
    for part in PARTS:
        pages = split.parts[part]
        roles = tuple(int(n) for n in np.sum([page.roles for page in pages], axis=0)) if pages else (0,) * len(ROLES)
        yield part, len({p.site for p in pages}), len(pages), sum(roles), roles

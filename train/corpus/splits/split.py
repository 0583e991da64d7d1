"""Train, validation and test by site, alike in their mix of roles, with sites that show the same stories kept
together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from train.common.errors import InputError
from train.common.files import read_json, sha256_json
from train.corpus.page import Page
from train.corpus.splits.assignment import assign_groups, site_groups
from train.corpus.splits.by_time import parts_by_time
from train.corpus.splits.near_duplicates import shared_passages
from train.corpus.splits.page_summary import PageSummary
from train.runtime.text import ROLES

PARTS = ("train", "validation", "test")
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

    parts: Mapping[str, list[PageSummary]]
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
        part_of = {fact.page_id: part for part, summaries in self.parts.items() for fact in summaries}
        chosen: dict[str, list[Page]] = {part: [] for part in self.parts}
        for page in pages:
            if page.page_id in part_of:
                chosen[part_of[page.page_id]].append(page)
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
        warnings = []
        topics = sorted({topic for pages in self.parts.values() for page in pages for topic in page.topics})
        for part in PARTS:
            counts = np.sum([page.roles for page in self.parts[part]], axis=0)
            warnings += [
                f"{part} has {count} {role} segments; fewer than {LEAST_SEGMENTS} say little about them"
                for role, count in zip(ROLES, counts, strict=True)
                if count < LEAST_SEGMENTS
            ]
            stories = Counter(topic for page in self.parts[part] for topic in page.topics)
            few = [topic for topic in topics if stories[topic] < LEAST_STORIES]
            if few:
                warnings.append(
                    f"{part} has fewer than {LEAST_STORIES} stories of {', '.join(few[:8])}{' …' * (len(few) > 8)}"
                )
        return warnings


def split_by_site(
    summaries: Sequence[PageSummary], *, validation_share: float, test_share: float, seed: int, by_time: bool = False
) -> Split:
    """Puts whole groups of sites into parts: no site, and no story of some length, is in two of them.

    Groups go, largest first, to the part whose pages and role counts they bring nearest to its share.

    Args:
        summaries: The summaries of the labelled pages.
        validation_share: The share of pages that validation is to have.
        test_share: The share of pages that test is to have.
        seed: Seeds the order of groups; another seed gives another split.
        by_time: Train on the past, test on the future: groups with the latest pages go to test, then those before to
            validation, and pages on the wrong side of the days that separate the parts, or without a date, are left
            out.

    Raises:
        InputError: There are fewer than three groups of sites that share no story.
    """
    groups, linked = site_groups(summaries)
    _require_groups(groups, summaries, len(PARTS))
    shares = {"train": 1 - validation_share - test_share, "validation": validation_share, "test": test_share}
    made_by = {"by": "time and site" if by_time else "site", "shares": shares, "seed": seed}
    if by_time:
        parts, first_days = parts_by_time(summaries, groups, shares)
        kept = {page.page_id for pages in parts.values() for page in pages}
        left_out = tuple(page.page_id for page in summaries if page.page_id not in kept)
        return Split(parts, linked, left_out, {**made_by, **first_days})
    part_of = assign_groups(groups, summaries, shares, seed)
    parts = {part: [page for page in summaries if part_of[page.site] == part] for part in PARTS}
    return Split(parts, linked, (), made_by)


def folds(summaries: Sequence[PageSummary], *, count: int, validation_share: float, seed: int) -> list[Split]:
    """Cross-validation by site: each page is in the test part of exactly one of the splits.

    Args:
        summaries: The summaries of the labelled pages.
        count: The number of splits.
        validation_share: The share of the pages outside test that validation is to have.
        seed: Seeds the order of groups; another seed gives other folds.

    Raises:
        InputError: There are too few groups of sites that share no story.
    """
    groups, linked = site_groups(summaries)
    _require_groups(groups, summaries, max(count, len(PARTS)))
    fold_of = assign_groups(groups, summaries, {str(i): 1 / count for i in range(count)}, seed)
    splits = []
    for i in range(count):
        rest = [group for group in groups if fold_of[group[0]] != str(i)]
        if len(rest) < 2:
            raise InputError(
                f"{len(rest)} group of sites is left for training and validation in fold {i}",
                expected="at least 2",
                remedy="name more folds, or add pages of other sites",
                rule="too-small-to-split",
            )
        part_of = assign_groups(rest, summaries, {"train": 1 - validation_share, "validation": validation_share}, seed)
        part_of |= {site: "test" for group in groups for site in group if fold_of[group[0]] == str(i)}
        parts = {part: [page for page in summaries if part_of[page.site] == part] for part in PARTS}
        made_by = {"by": "site", "fold": i, "folds": count, "validation_share": validation_share, "seed": seed}
        splits.append(Split(parts, linked, (), made_by))
    return splits


def given_split(parts: Mapping[str, Sequence[PageSummary]]) -> Split:
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


def read_split(path: Path, summaries: Sequence[PageSummary]) -> Split:
    """A split that was saved, for the same corpus.

    Args:
        path: The saved split.
        summaries: The summaries of the corpus' pages.

    Raises:
        InputError: The file is no split, names other pages than the corpus has, or has a site in two parts.
    """
    saved = read_json(path)
    try:
        ids = {part: list(saved["parts"][part]["page_ids"]) for part in PARTS}
        left_out, groups = tuple(saved.get("left_out", ())), tuple(map(tuple, saved.get("linked_sites", ())))
        named, made_by = str(saved["sha256"]), dict(saved.get("made_by", {}))
        known = {fact.page_id: fact for fact in summaries}
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


def _require_groups(groups: Sequence[Sequence[str]], summaries: Sequence[PageSummary], least: int) -> None:
    if len(groups) < least:
        sites = sum(map(len, groups))
        raise InputError(
            f"the corpus falls into {len(groups)} group{'s'[: len(groups) != 1]} of sites without common stories "
            f"({sites} sites, {len(summaries)} pages)",
            expected=f"at least {least} groups: one for each part",
            remedy="add pages of other sites, or give corpus.train_path, corpus.validation_path and corpus.test_path",
            rule="too-small-to-split",
        )


def describe(split: Split) -> Iterable[tuple[str, int, int, int, tuple[int, ...]]]:
    """`(part, sites, pages, segments, segments of each role)` of each part."""
    for part in PARTS:
        pages = split.parts[part]
        roles = tuple(int(n) for n in np.sum([page.roles for page in pages], axis=0)) if pages else (0,) * len(ROLES)
        yield part, len({p.site for p in pages}), len(pages), sum(roles), roles

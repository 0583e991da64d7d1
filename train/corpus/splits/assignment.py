"""Whole groups of sites into parts, so that every part has its share of pages and of each role.

It is iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011) over groups in the place of examples: the group
that is hardest to place, the largest, goes first, each to the part that lacks most of what it brings; exchanges of two
groups then mend what greed left. scikit-learn's `StratifiedGroupKFold` makes folds of equal size by one label a row and
one group a row; here parts have unequal shares, a page has a count of each role, and a group is all sites that show the
same stories.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np

from train.corpus.splits.near_duplicates import components, shared_passages
from train.corpus.splits.page_summary import PageSummary
from train.runtime.text import ROLES

COMMON_SITES = 100
"""A passage on more sites than this is a phrase of the trade (an agency's footer), not a copied story: it ties no
sites."""
EXCHANGES = 2000
"""Tries to exchange two groups of sites between parts, to make their mix of roles alike."""


def site_groups(summaries: Sequence[PageSummary]) -> tuple[list[list[str]], tuple[tuple[str, ...], ...]]:
    """The sites of pages, `summaries`, in groups that share no story with another group; and the groups of more than
    one site."""
    sites = sorted({page.site for page in summaries})
    index = {site: i for i, site in enumerate(sites)}
    passage, page = shared_passages([fact.passages for fact in summaries])
    site = np.array([index[fact.site] for fact in summaries], np.int64)[page] if len(page) else page
    pairs = np.unique(np.stack([passage, site], axis=1), axis=0) if len(page) else np.empty((0, 2), np.int64)
    numbers, counts = np.unique(pairs[:, 0], return_counts=True)
    tying = pairs[np.isin(pairs[:, 0], numbers[(counts > 1) & (counts <= COMMON_SITES)])]
    # Sites and passages are the two sides of a graph: sites that hold the same passage end in the same component.
    edges = [(int(s), len(sites) + int(p)) for p, s in tying]
    connected = components(len(sites) + (int(passage[-1]) + 1 if len(passage) else 0), edges)
    groups = [group for nodes in connected if (group := [sites[i] for i in nodes if i < len(sites)])]
    return groups, tuple(tuple(group) for group in groups if len(group) > 1)


def assign_groups(
    groups: Sequence[Sequence[str]], summaries: Sequence[PageSummary], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Assigns whole groups of sites to parts, the largest first, each where it brings pages and role counts nearest to
    their shares.

    Args:
        groups: Groups of sites; no site is in two of them.
        summaries: The summaries of the pages; those of other sites are passed over.
        shares: Part -> the share of pages it is to have; they add up to 1.
        seed: Seeds the order of equally large groups, and the exchanges after it.

    Returns:
        Site -> part.
    """
    index = {site: i for i, group in enumerate(groups) for site in group}
    sizes = np.zeros((len(groups), 1 + len(ROLES)))
    for page in summaries:
        if page.site in index:
            sizes[index[page.site]] += (1, *page.roles)
    sizes /= np.maximum(sizes.sum(axis=0), 1)
    weights = np.array([1.0] + [1 / len(ROLES)] * len(ROLES))
    order = list(range(len(groups)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda g: -sizes[g, 0])
    filled = {part: np.zeros(sizes.shape[1]) for part in shares}
    part_of: dict[int, str] = {}
    for i, g in enumerate(order):
        empty = [part for part in shares if not filled[part].any()]
        candidates = empty if len(order) - i <= len(empty) else list(shares)

        def improvement(part: str, g: int = g) -> tuple[float, str]:
            lacking = shares[part] - filled[part]
            return float(weights @ (lacking**2 - (lacking - sizes[g]) ** 2) / shares[part]), part

        part = max(candidates, key=improvement)
        filled[part] += sizes[g]
        part_of[g] = part
    refine(part_of, sizes, filled, shares, weights, random.Random(seed))
    return {site: part for g, part in part_of.items() for site in groups[g]}


def refine(
    part_of: dict[int, str],
    sizes: np.ndarray,
    filled: Mapping[str, np.ndarray],
    shares: Mapping[str, float],
    weights: np.ndarray,
    rng: random.Random,
) -> None:
    """Exchanges two groups of different parts wherever that brings both parts nearer to their shares; with few groups,
    greed is not enough.

    Args:
        part_of: Group -> part; changed in place.
        sizes: The share of all pages and of each role's segments that each group has, `[groups, 1 + roles]`.
        filled: Part -> the sum of its groups' sizes, `[1 + roles]`; changed in place.
        shares: Part -> the share it is to have.
        weights: How much pages and each role count, `[1 + roles]`.
        rng: Draws the pairs of groups.
    """
    by_share = {part: weights / share for part, share in shares.items()}
    for _ in range(EXCHANGES if len(set(part_of.values())) > 1 else 0):
        a, b = rng.sample(range(len(sizes)), 2)
        one, other = part_of[a], part_of[b]
        if one == other:
            continue
        moved = sizes[b] - sizes[a]
        gap, other_gap = filled[one] - shares[one], filled[other] - shares[other]
        change = by_share[one] @ ((gap + moved) ** 2 - gap**2)
        change += by_share[other] @ ((other_gap - moved) ** 2 - other_gap**2)
        if change < -1e-12:
            filled[one][:] += moved
            filled[other][:] -= moved
            part_of[a], part_of[b] = other, one

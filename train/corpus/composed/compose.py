"""Labelled pages composed of real articles on invented sites.

Sites form networks that share articles as a publisher's sites do; no article is on two networks, so splitting by site
and common stories keeps apart both sites and articles. The text of a related item is drawn and cut like that of a main
story: only its place on the page tells them apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from train.common.errors import InputError
from train.corpus.composed import articles, templates
from train.corpus.composed.page import PageComposer
from train.corpus.composed.site import Site, draw_site, site_names
from train.corpus.page import Page

KINDS = ("generated", "templates")
"""Sites that are drawn, and the hand-made ones, which are kept for tests on sites of another making."""
NETWORKS = 24
SITES = 240
"""Ten to a network."""


def compose(*, seed: int, pages: int, kind: str = "generated") -> Iterator[Page]:
    """Yields labelled pages; the same seed gives the same pages, however many follow.

    A page's own key `related` says whether its blocks of related items have headings: headed, bare, mixed or none;
    `composed` says its kind.

    Args:
        seed: The seed of everything drawn, sites among them.
        pages: How many pages; sites take turns, so each has about the same number.
        kind: One of `KINDS`.

    Raises:
        InputError: There is no such kind, or the articles' package is not installed.
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r} of composed pages", expected=" or ".join(KINDS), remedy="name one of them")
    made = templates.compose if kind == "templates" else _generate
    return made(articles.read_articles(), seed=seed, pages=pages)


def _generate(stories: list[articles.Article], *, seed: int, pages: int) -> Iterator[Page]:
    rng = random.Random(f"{seed}/networks")
    names = site_names(SITES, rng)
    pools = articles.deal(stories, NETWORKS, rng)
    sites: dict[int, Site] = {}
    for number in range(pages):
        index, turn = number % SITES, number // SITES
        if index not in sites:
            sites[index] = draw_site(*names[index], random.Random(f"{seed}/site/{index}"))
        pool = pools[index % NETWORKS]
        # Main stories of a network go round its pool; each site starts elsewhere.
        main = pool[(turn * (SITES // NETWORKS) + index // NETWORKS) % len(pool)]
        composer = PageComposer(sites[index], main, pool, random.Random(f"{seed}/{number}"))
        yield composer.page(f"{sites[index].domain.split('.')[0]}-{turn:03d}")

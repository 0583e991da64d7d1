"""How a page is put together: menus, the main story and what stands within it, related items, comments, the foot."""

from __future__ import annotations

from collections.abc import Sequence

from train.corpus.composed.articles import sentences
from train.corpus.composed.canvas import related_kind
from train.corpus.composed.furniture import Furniture
from train.corpus.composed.menus import NAV_HEADLINE, NAV_TEASER
from train.corpus.composed.story import story
from train.corpus.composed.words import cased
from train.corpus.page import Page

FRONT, VIDEO, ERROR = 0.02, 0.015, 0.01
"""Shares of pages without a story: section fronts, videos, error pages."""


class PageComposer(Furniture):
    """Lays out one page of a site."""

    def page(self, page_id: str) -> Page:
        """The page."""
        kind = self.rng.random()
        self._chrome(self.site.top)
        if self.site.top_rail:
            self._rail(self.site.top_rail)
        title: str | None = self._title(self.headline)
        if kind < FRONT:
            title = self._front()
        elif kind < FRONT + VIDEO + ERROR:
            title = self._no_story(video=kind < FRONT + VIDEO)
        else:
            self._story_page()
        self._chrome(self.site.bottom)
        return Page(
            page_id,
            self.site.domain,
            tuple(self.segments),
            "en",
            title,
            f"https://{self.site.domain}/{page_id}",
            self.date if self.rng.random() < 0.9 else None,
            {"composed": "generated", "related": related_kind(self.headed)},
        )

    def _story_page(self) -> None:
        for kind in self.site.head:
            self._head(kind)
        self._main_story()
        for kind in self.site.after:
            if kind != "rail":
                if self.rng.random() < 0.8:
                    self._after(kind)
            elif self.rails:
                self._rail(self.rails.pop(0))

    # Before and around the headline.

    def _head(self, kind: str) -> None:
        site = self.site
        match kind:
            case "headline":
                text = cased(self.headline, site.headline_case)
                self._main(text + self.words.fill(site.headline_named))
            case "standfirst":
                if self.rng.random() < site.standfirsts:
                    self._main(self._standfirst())
            case "crumbs":
                crumbs = ["Home", self.main.topic.title(), self.words.draw("subsections"), cased(self.headline, "asis")]
                crumbs = crumbs[self.rng.choice((0, 0, 1)) : self.rng.choice((2, 2, 3, 3, 4))]
                self._boilerplate(crumbs if site.crumbs is None else [site.crumbs.join(crumbs)])
            case "kicker":
                self._boilerplate(["[section]" if self.rng.random() < 0.5 else "{kickers}"])
            case "byline":
                self._boilerplate([site.byline])
                if self.rng.random() < 0.1:
                    self._boilerplate(["{bio}"])
            case "date":
                self._boilerplate([site.dateline])
            case "jobs":
                self._boilerplate(["{jobs}"])
            case "share":
                self._boilerplate(site.share)
            case "ad" | "image" | "video" | "debris":
                self._insert(kind)

    def _standfirst(self) -> str:
        """The lead, as many sites repeat it, or what a later paragraph tells."""
        paragraphs = self.main.paragraphs
        later = [s for p in paragraphs[1:5] for s in sentences(p) if 10 <= len(s.split()) <= 30]
        return sentences(paragraphs[0])[0] if not later or self.rng.random() < 0.4 else self.rng.choice(later)

    def _title(self, headline: str) -> str | None:
        if self.rng.random() < 0.1:
            return None
        return self.words.fill(self.site.title.replace("<headline>", cased(headline, self.site.headline_case)))

    # The main story.

    def _main_story(self) -> None:
        site, rng = self.site, self.rng
        articles = [self.main]
        while rng.random() < site.long_stories and len(articles) < 5:
            more = next((article for article in self.unused if article.topic == self.main.topic), None)
            if more is None:
                break
            self.unused.remove(more)
            articles.append(more)
        lines = story(articles, site, rng)
        for i, (text, is_story) in enumerate(lines):
            if is_story:
                self._main(text)
            else:
                self._boilerplate([text])
            if 0 < i + 1 < len(lines) and site.inserts and rng.random() < site.insert_rate:
                self._insert(rng.choice(site.inserts))

    # Pages without a story.

    def _front(self) -> str:
        self._boilerplate(["[section]"])
        for rail in (*self.rails, *self.rails[:2]):
            self._rail(rail)
        shape = self.rng.choice(((("<headline>", "<teaser>"),), (("<headline>", "<note>"),), (("<headline>",),)))
        self._rail_of(None, shape, self.rng.randint(5, 30), self.rails[0] if self.rails else None)
        return self.words.fill("[section] - [name]")

    def _no_story(self, *, video: bool) -> str:
        if video:
            self._boilerplate([self.headline, *["{debris}"] * self.rng.randint(5, 30), "[date]", "{captions}"])
        else:
            self._boilerplate(["{errors}", "{errors_prose}", *["{errors}"] * self.rng.randint(0, 4)])
        for rail in self.rails:
            self._rail(rail)
        return self.words.fill("{errors} - [name]") if not video else f"{self.headline} - {self.site.name}"

    def _chrome(self, lines: Sequence[str]) -> None:
        for line in lines:
            if line == NAV_HEADLINE:
                self._boilerplate([self._headline(self._next())])
            elif line == NAV_TEASER:
                article = self._next()
                self._boilerplate([f"{self._headline(article)} {sentences(article.paragraphs[0])[0]}"])
            elif self.rng.random() > 0.02:
                self._boilerplate([line])

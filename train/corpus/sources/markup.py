"""What the markup of an HTML page tells of its roles: which blocks are items of other stories, and which is the
headline.

Benchmarks of main text extraction give the main story's text alone; what else is on the page would all come out as
boilerplate. Here a block is related when it is almost all link, of four words or more, to what looks like an article;
when it stands in the same card as such a link; or when it is tied to one article in a container that calls itself
related, recommended, most read and the like. Menus, headers and footers are left out, and lists vote: a list of short
labels is a menu, a list of headlines is stories. Such labels are weak: they teach, they do not test.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

from train.corpus.sources.html_blocks import Block

HEADLINE_WORDS = 4
LINK_SHARE = 0.8
CARD_BLOCKS = 12
"""A card of more blocks is no card."""
NEARBY = 8
"""Blocks of the same address are one story when so few others stand between them."""
_MENU_TAGS = frozenset(["nav", "footer"])
_APART = frozenset(["figure", "aside", "nav", "footer", "form", "button", "iframe"])
_MENU_ROLES = frozenset(["navigation", "menu", "menubar", "banner", "contentinfo", "search"])
_MENU = re.compile(
    r"(?:^|[\s_-])(?:main|site|global|page|primary|top|sub|mega|mobile|nav)?[_-]?(?:nav|navbar|navigation|menu|breadcrumbs?|footer|masthead|"
    r"sitemap|toolbar|topbar|cookies?|consent|login|newsletter|comments?|disqus)(?:$|[\s_-])|site-?header|page-?header|global-?header",
    re.I,
)
_HINTS = re.compile(
    r"related|recommend|most-?_?(?:read|popular|viewed|recent|shared)|popular|trending|recirc|outbrain|taboola|read-?_?(?:more|next|also)|"
    r"(?:more|latest|top|recent|other|also|next|prev\w*|similar|further)-?_?(?:stories|news|articles?|posts?|from|in|on|headlines|reads?)|"
    r"also-?_?(?:like|read)|up-?_?next|you-?_?may|promo|teaser|sidebar-?_?(?:stories|news)",
    re.I,
)
_CARD = re.compile(
    r"card|teaser|item|story|post|entry|promo|article|headline|tile|list-?_?element|block|module|media|thumb", re.I
)
_CARD_TAGS = frozenset(["li", "article", "figure", "tr", "dd"])
_NO_ARTICLE = re.compile(
    r"/(?:tags?|category|categories|topics?|authors?|people|person|profile|users?|about\w*|contact\w*|login|log-?in|sign-?in|sign-?up|register|account|"
    r"subscri\w*|newsletters?|privacy\w*|terms\w*|cookies?|search|section|sections|help|faq|support|advert\w*|careers?|jobs?|shop|store|cart|download\w*|"
    r"feed|rss|share|sharer|intent|policy|policies|legal|sitemap|wp-login\w*|page/\d+)(?:[/.?]|$)",
    re.I,
)
_SEPARATOR = re.compile(r" [|\u2013\u2014\u00b7\u00bb:-]+ ")
BODY_WORDS = 12
"""The first paragraph of the story that is not just a label."""
NEAR, NEAR_H1 = 0.8, 0.4
"""Such a share of the words in a headline and a title are in both; an `h1` may be worded more freely."""
_SHARING = re.compile(
    r"(?:^|\.)(?:facebook|twitter|x|linkedin|pinterest|whatsapp|reddit|t|instagram|youtube|apple|google|amazon|telegram|tiktok)\.\w+$"
)


class Markup:
    """Remembers where each block stood; `mark` is handed to `read_html`, the rest asked with the blocks it cut."""

    def __init__(self) -> None:
        self._elements: list[Any] = []

    def mark(self, element: Any) -> str:
        """Names an element, so that its text's blocks tell where they stood."""
        self._elements.append(element)
        return str(len(self._elements) - 1)

    def stories(self, blocks: Sequence[Block], is_main: Sequence[bool], url: str | None) -> list[int | None]:
        """The number from 1 of the other story each block belongs to, None where it belongs to none.

        Args:
            blocks: As `read_html(content, self.mark)` cut them.
            is_main: Which are the main story: they never belong to another.
            url: The page's address; links to it are no other story.
        """
        places = [self._place(block) for block in blocks]
        links = [self._link(block, url) for block in blocks]
        with_main = {e for place, main in zip(places, is_main, strict=True) if main for e in _lineage(place)}
        in_menu = [_in_menu(place, with_main) for place in places]
        headlines = {
            i
            for i, (block, link) in enumerate(zip(blocks, links, strict=True))
            if link is not None and len(block.text.split()) >= HEADLINE_WORDS and not is_main[i] and not in_menu[i]
        }
        headlines -= self._menus(blocks, places, headlines)
        addresses: defaultdict[Any, set[str]] = defaultdict(set)
        sizes: defaultdict[Any, int] = defaultdict(int)
        for place in places:
            for element in _lineage(place):
                sizes[element] += 1
        for i in headlines:
            for element in _lineage(places[i]):
                addresses[element].add(str(links[i]))
        shown = {links[i] for i in headlines}
        led_to: list[str | None] = []
        for i, place in enumerate(places):
            if is_main[i] or in_menu[i]:
                led_to.append(None)
            elif i in headlines or (links[i] is not None and links[i] in shown):
                led_to.append(links[i])
            else:
                led_to.append(_card(place, addresses, with_main, sizes))
        return _numbered(led_to)

    def headline(self, blocks: Sequence[Block], is_main: Sequence[bool], titles: Sequence[str]) -> int | None:
        """The main story's headline, where the gold text is without it: above the body, worded as the page's title is.

        Args:
            blocks: As `read_html(content, self.mark)` cut them.
            is_main: Which are the main story by its text.
            titles: What the page is called; a site's name before or after it does no harm.

        Returns:
            The last such block in an `h1`, else in an `h2`, else at all; None when there is none, or the text begins
            with one.
        """
        body = next((i for i, block in enumerate(blocks) if is_main[i] and len(block.text.split()) >= BODY_WORDS), None)
        if body is None or not titles:
            return None
        wished = [words for title in titles for words in title_words(title)]
        tags = [{e.tag for e in _lineage(self._place(block))} for block in blocks[: body + 1]]
        ranks = [2 if "h1" in some else 1 if "h2" in some else 0 for some in tags]
        likeness = [max(_likeness(words_of(block.text), words) for words in wished) for block in blocks[: body + 1]]
        alike = [
            i
            for i, (rank, like) in enumerate(zip(ranks, likeness, strict=True))
            if like >= (NEAR_H1 if rank == 2 else NEAR)
        ]
        if not alike or any(is_main[i] for i in alike):
            return None
        return max(alike, key=lambda i: (ranks[i], i))

    def article_body(self, blocks: Sequence[Block]) -> list[str]:
        """The texts inside the element that calls itself schema.org's `articleBody`, without what is set apart in
        it."""
        texts = []
        for block in blocks:
            inside: list[Any] = []
            for element in _lineage(self._place(block)):
                if element.get("itemprop") == "articleBody":
                    if not any(e.tag in _APART or _HINTS.search(_names(e)) for e in inside):
                        texts.append(block.text)
                    break
                inside.append(element)
        return texts

    def running_on(self, blocks: Sequence[Block], is_main: Sequence[bool]) -> list[str]:
        """The paragraphs after the last of the main story that stand in the same element as its paragraphs do.

        Args:
            blocks: As `read_html(content, self.mark)` cut them.
            is_main: Which are the main story.
        """
        within = [next((e.getparent() for e in _lineage(self._place(block)) if e.tag == "p"), None) for block in blocks]
        homes = {home for home, main in zip(within, is_main, strict=True) if main and home is not None}
        last = max((i for i, main in enumerate(is_main) if main), default=len(blocks))
        return [
            block.text
            for block, home in zip(blocks[last + 1 :], within[last + 1 :], strict=True)
            if home in homes and len(block.text.split()) >= BODY_WORDS
        ]

    def _place(self, block: Block) -> Any:
        return None if block.mark is None else self._elements[int(block.mark)]

    def _link(self, block: Block, url: str | None) -> str | None:
        """Where a block that is almost all link leads to, when that looks like an article."""
        total = sum(block.marks.values())
        led: defaultdict[str, int] = defaultdict(int)
        for mark, count in block.marks.items():
            if mark is not None:
                anchor = next((e for e in _lineage(self._elements[int(mark)]) if e.tag == "a" and e.get("href")), None)
                if anchor is not None:
                    led[anchor.get("href")] += count
        if not led or sum(led.values()) < LINK_SHARE * total:
            return None
        return _article(max(led, key=lambda href: led[href]), url)

    def _menus(self, blocks: Sequence[Block], places: Sequence[Any], headlines: set[int]) -> set[int]:
        """Headlines in lists whose links are mostly short labels."""
        lists: defaultdict[Any, list[int]] = defaultdict(list)
        for i, place in enumerate(places):
            lineage = list(_lineage(place))
            if any(e.tag == "a" for e in lineage):
                nearest = next((e for e in lineage if e.tag in ("ul", "ol", "dl", "menu")), None)
                if nearest is not None:
                    lists[nearest].append(i)
        return {
            i
            for members in lists.values()
            if 2 * sum(j in headlines for j in members)
            < sum(len(blocks[j].text.split()) < HEADLINE_WORDS for j in members)
            for i in members
            if i in headlines
        }


def _lineage(element: Any) -> Iterator[Any]:
    """An element and those it stands in, from the inside out, without `body` and `html`."""
    while element is not None and element.tag not in ("body", "html"):
        yield element
        element = element.getparent()


def _names(element: Any) -> str:
    return f"{element.get('class') or ''} {element.get('id') or ''}"


def _in_menu(place: Any, with_main: set[Any]) -> bool:
    for element in _lineage(place):
        if element in with_main:
            return False
        if element.tag in _MENU_TAGS or (element.get("role") or "").lower() in _MENU_ROLES:
            return True
        if _MENU.search(_names(element)):
            return True
        if element.tag == "header" and not any(
            e.tag in ("article", "main", "li", "section") for e in _lineage(element.getparent())
        ):
            return True
    return False


def _card(place: Any, addresses: Mapping[Any, set[str]], with_main: set[Any], sizes: Mapping[Any, int]) -> str | None:
    """The one address in the card a block stands in."""
    hinted = any(_HINTS.search(_names(e)) for e in _lineage(place))
    for element in _lineage(place):
        inside = addresses.get(element, set())
        if element in with_main or len(inside) > 1 or sizes[element] > CARD_BLOCKS:
            return None
        if len(inside) == 1 and (hinted or element.tag in _CARD_TAGS or _CARD.search(_names(element))):
            return next(iter(inside))
    return None


def _article(href: str, url: str | None) -> str | None:
    """The address without query and fragment, when it looks like an article's."""
    try:
        whole = urlsplit(urljoin(url or "https://site.invalid/", href.strip()))
    except ValueError:
        return None
    own = urlsplit(url or "")
    if whole.scheme not in ("http", "https") or (whole.netloc, whole.path.rstrip("/")) == (
        own.netloc,
        own.path.rstrip("/"),
    ):
        return None
    if _SHARING.search(whole.netloc) or _NO_ARTICLE.search(whole.path):
        return None
    parts = whole.path.rstrip("/").split("/")
    last, digits = parts[-1], sum(map(str.isdigit, whole.path + whole.query))
    dashes = [part.count("-") + part.count("_") for part in parts]
    if not (
        max(dashes) > 2
        or dashes[-1] == 2
        or digits >= 4
        or (last.endswith((".html", ".htm", ".shtml")) and len(last) > 15)
    ):
        return None
    # Where the path does not name the article, the query may.
    return f"{whole.netloc}{whole.path}?{whole.query}" if dashes[-1] < 2 else f"{whole.netloc}{whole.path}"


def title_words(title: str) -> list[list[str]]:
    """The words of what a page is called, and of its parts: a site's name may stand before or after."""
    return [words_of(part) for part in (title, *_SEPARATOR.split(" ".join(title.split())))]


def words_of(text: str) -> list[str]:
    """A text's words, case folded."""
    return re.findall(r"\w+", text.casefold())


def _likeness(one: Sequence[str], other: Sequence[str]) -> float:
    """Words in common, as a share of the words in either; a single word is like nothing."""
    common = sum((Counter(one) & Counter(other)).values())
    return common / (len(one) + len(other) - common) if len(one) > 1 else 0.0


def _numbered(addresses: Sequence[str | None]) -> list[int | None]:
    numbers: list[int | None] = []
    latest: dict[str, tuple[int, int]] = {}
    count = 0
    for i, address in enumerate(addresses):
        if address is None:
            numbers.append(None)
            continue
        known = latest.get(address)
        if known is None or i - known[1] > NEARBY:
            count += 1
            known = (count, i)
        latest[address] = (known[0], i)
        numbers.append(known[0])
    return numbers

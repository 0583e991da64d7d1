"""HTML parsed as browsers parse it (the HTML standard's tree construction, by Lexbor), into a tree of elements.

What browsers run, hide, or show only without scripts is in the tree too: who cuts the page decides what is seen.
"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree

from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode

from train.common.errors import InputError

STEPS = 10**8
"""A bound on the parser's work, which is quadratic in how deeply tags nest: a second or two."""
RAW_FALLBACK = frozenset(["noscript", "noframes", "noembed"])
"""Elements whose content is text to a browser that runs scripts, and markup to one that does not."""
SHORTEST_FALLBACK = 100
"""Characters; a shorter fallback is a line about scripts, and is not parsed."""
LONG_TAG = 2000
"""Characters of attributes from which on they are counted."""
_RAW = frozenset(["script", "style", "textarea", "title", "xmp", "iframe"])
_FOREIGN = frozenset(["svg", "math"])
_CLOSING_THEMSELVES = frozenset(
    re.findall(
        r"\w+",
        "a area base basefont bgsound br button caption col colgroup dd dt embed form frame hr image img input li link "
        "meta nobr optgroup option p param rb rp rt rtc source tbody td tfoot th thead tr track wbr",
    )
)
"""Tags that do not nest in themselves, closed or not."""
_FORMATTING = frozenset(["b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"])
"""Tags that are opened again in each block until they are closed: they cost elements, not steps alone."""
_TAG = re.compile(
    r"""(?P<cdata><!\[CDATA\[)|<!--(?:-?>|.*?(?:--!?>|\Z))|<[!?][^>]*+|</(?![a-z])[^>]*+|"""
    r"""<(?P<end>/?)(?P<name>[a-z][^\s/>]*+)"""
    r"""(?P<attributes>(?:[\s/]++|=?[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+))?+|=)*+)""",
    re.IGNORECASE | re.DOTALL,
)


class Element(ElementTree.Element):
    """An element of a page that knows what it stands in."""

    __slots__ = ("parent",)
    parent: Element | None

    def getparent(self) -> Element | None:
        """The element around it; None at the root."""
        return self.parent


def parse_html(text: str) -> Element:
    """The root element of a page, however broken.

    Args:
        text: The page.

    Raises:
        InputError: Its tags nest so deeply, or have so many attributes, that to parse it would take minutes.
    """
    if parsing_steps(text) > STEPS:
        raise InputError(
            "tags nested, or with attributes, beyond measure",
            expected="a page that can be parsed in a second or two",
            remedy="repair the page: text would be lost",
            rule="too-deep",
        )
    source = _parser(text).root
    root = _element("html", source.attributes if source else {}, None)
    _fill(root, source)
    return root


def parsing_steps(text: str) -> int:
    """An upper bound of how many steps it takes to parse a page: at each tag, those that are open. Counted up to STEPS.

    An end tag counts only where it is one for certain, not in raw text; a start tag in raw text counts where the
    text may be markup after all, as in `svg` and `noscript`.

    Args:
        text: The page.
    """
    steps = opened = formatting = merged = position = raw_until = 0
    names: Counter[str] = Counter()
    foreign = False
    while steps <= STEPS and (match := _TAG.search(text, position)):
        raw = match.start() < raw_until
        position = min(match.end(), raw_until) if raw else match.end()
        if match["cdata"] and not raw:
            raw_until = _find(text, "]]>", position, len(text))
        if not match["name"]:
            continue
        name = match["name"].lower()
        if match["end"]:
            if names[name] and not raw:
                names[name] -= 1
                opened -= 1
                formatting -= name in _FORMATTING
            steps += opened
            continue
        steps += opened + 100 * formatting
        attributes = match["attributes"]
        if len(attributes) > LONG_TAG:
            steps += len(attributes.split()) ** 2 // 2
        if name in ("html", "body"):  # the attributes of a second one are given to the first
            merged += len(attributes.split())
            steps += merged
        foreign |= name in _FOREIGN
        if (name in RAW_FALLBACK or (foreign and name in _RAW)) and not raw:
            raw_until = _find(text, f"</{name}", position, len(text))
        elif name in _RAW and not foreign:
            position = _find(text, f"</{name}", position, raw_until if raw else len(text))
        if name not in _CLOSING_THEMSELVES and name not in _RAW:
            names[name] += 1
            opened += 1
            formatting += name in _FORMATTING
    return steps


def _find(text: str, mark: str, position: int, end: int) -> int:
    found = re.compile(re.escape(mark), re.IGNORECASE).search(text, position, end)
    return found.start() if found else end


def _parser(text: str) -> LexborHTMLParser:
    return LexborHTMLParser(text, options=LexborDocumentOptions.WO_EVENTS.value, scripting=True)


def _element(tag: str, attributes: dict[str, str | None], parent: Element | None) -> Element:
    element = Element(tag, {name: value or "" for name, value in attributes.items()})
    element.parent = parent
    if parent is not None:
        parent.append(element)
    return element


def _fill(root: Element, source: LexborNode | None) -> None:
    """Copies what an element holds, with what its templates and its fallbacks for browsers without scripts hold."""
    waiting = [(root, source)]
    while waiting:
        parent, node = waiting.pop()
        latest: Element | None = None
        child = node.first_child if node else None
        while child is not None:
            if child.is_text_node:
                text = child.text_content or ""
                if latest is None:
                    parent.text = (parent.text or "") + text
                else:
                    latest.tail = (latest.tail or "") + text
            elif child.is_element_node:
                latest = _element(child.tag or "", child.attributes, parent)
                waiting.append((latest, child))
                if latest.tag == "template":
                    waiting += [(latest, fragment) for fragment in child.template_fragments()[:1]]
            child = child.next
        if parent.tag in RAW_FALLBACK and len(parent.text or "") >= SHORTEST_FALLBACK:
            raw, parent.text = parent.text, None
            waiting.append((parent, _parser(f"<body>{raw}").body))

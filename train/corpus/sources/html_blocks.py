"""HTML cut into the blocks of text a reader sees, in page order.

A block is the text between block-level tags; inline tags never break it, two line breaks in a row do. Scripts, styles,
form options, frames, fallbacks and what `hidden` or an inline style hides are left out, unless the page's running text
stands there: then a script shows it. Stylesheets are not read.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from train.common.errors import InputError
from train.corpus.sources.encodings import decode
from train.corpus.sources.html_tree import Element, parse_html

LARGEST = 64 * 2**20
"""Bytes; a larger page (or a gzip that unpacks to more) is refused."""
_WORDS = re.compile(r"\w+")
_BLOCKS = frozenset(
    _WORDS.findall(
        "address article aside blockquote body button caption center dd details dialog dir div dl dt fieldset "
        "figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 header hgroup hr html label legend li listing main "
        "menu nav ol optgroup p plaintext pre section summary table tbody td tfoot th thead tr ul video audio canvas "
        "xmp"
    )
)
_NEVER_SEEN = frozenset(
    ["script", "style", "title", "svg", "select", "datalist", "textarea", "iframe", "frame", "rp", "annotation"]
)
_FALLBACKS = frozenset(["noscript", "noframes", "noembed", "video", "audio", "canvas", "template"])
"""What a browser shows where it cannot show, or run, something else; and what its scripts copy from."""
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))", re.I)
RUNNING = 60
"""Characters; a block of so many is running text rather than a label."""
LEAST_UNSEEN = 100
"""Characters of running text; what is hidden and has less is a hint or a form, whatever else there is."""
Mark = Callable[[Element], str | None]
"""Says what an element marks the text inside it as; None leaves that to the elements around it."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What a source yields in the place of a page for what is none and need not be: it is counted.

    Args:
        what: What it is, in two words, such as `blank line` or `.css file`.
    """

    what: str


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a page's visible text.

    Args:
        text: Its text, whitespace collapsed.
        marks: Mark -> how many visible characters of the text it covers; None for those without a mark.
    """

    text: str
    marks: Counter[str | None] = field(default_factory=Counter)

    @property
    def mark(self) -> str | None:
        """The mark that covers most of it."""
        return max(self.marks, key=lambda mark: self.marks[mark], default=None)


@dataclass(frozen=True, slots=True)
class Html:
    """A page: its blocks and what its head says.

    Args:
        blocks: The blocks, in page order.
        title: The page's title, or None.
        lang: The language code it states, or None.
        url: The address it states, or None.
        unseen: The characters of its text that are in no block: scripts, styles, what is hidden.
    """

    blocks: list[Block]
    title: str | None
    lang: str | None
    url: str | None
    unseen: int = 0


def read_html(content: bytes, mark: Mark | None = None) -> Html:
    """Parses a page, however broken, and cuts it into blocks.

    Args:
        content: The file's bytes; the encoding is taken from the byte order mark, the meta tag, UTF-8 or Windows-1252.
        mark: What elements mark their text as; the innermost counts.

    Raises:
        InputError: It is too large, nests too deeply to be read whole, or the parser gives up.
    """
    return cut(parse(content), mark)


def cut(root: Element | None, mark: Mark | None = None) -> Html:
    """Cuts a parsed page into blocks.

    Args:
        root: The page, as `parse` returns it.
        mark: Marks elements, as in `read_html`.
    """
    if root is None:
        return Html([], None, None, None)
    title = root.findtext(".//title")
    blocks = _blocks(root, mark)
    return Html(
        blocks,
        " ".join(title.split()) or None if title else None,
        (root.get("lang") or "")[:35] or None,
        _url(root),
        max(0, sum(map(len, root.itertext())) - sum(len(block.text) for block in blocks)),
    )


def parse(content: bytes) -> Element | None:
    """The root element of a page, however broken; None when there is nothing in it.

    Raises:
        InputError: It is too large, or nests too deeply to be read whole.
    """
    if len(content) > LARGEST:
        raise _refuse(
            "too-large", f"a page of {len(content):,} bytes", f"at most {LARGEST:,}", "cut it, or leave it out"
        )
    text = decode(content).replace("\x00", " ")
    return parse_html(text) if text.strip() else None


def _url(root: Element) -> str | None:
    """The page's own address: canonical link, else og:url."""
    for path, key in (('.//link[@rel="canonical"]', "href"), ('.//meta[@property="og:url"]', "content")):
        element = root.find(path)
        if element is not None and (element.get(key) or "").startswith("http"):
            return str(element.get(key))
    return None


def _blocks(root: Element, mark: Mark | None) -> list[Block]:
    """The blocks of what is seen, and of that which is not but holds more running text: a script shows it."""
    shown: set[Element] = set()
    running: dict[Element, int] = {}
    while True:
        blocks, unseen = _gather(root, mark, shown)
        for element in unseen:
            if element not in running:
                running[element] = _running(_gather(element, None, None)[0])
        most = max(unseen, key=lambda element: running[element], default=None)
        if most is None or running[most] <= max(_running(blocks), LEAST_UNSEEN):
            return blocks
        shown.add(most)


def _running(blocks: list[Block]) -> int:
    return sum(len(block.text) for block in blocks if len(block.text) >= RUNNING)


def _unseen(element: Element) -> bool:
    """Whether browsers leave an element out of what is seen, until a script changes that. What pages hide on `html` and
    `body` until their scripts have run is seen."""
    tag = element.tag
    if tag in _FALLBACKS:
        return tag != "template" or element.get("shadowrootmode") not in ("open", "closed")
    if tag in ("html", "body"):
        return False
    return (
        element.get("hidden") is not None
        or element.get("popover") is not None
        or (tag == "dialog" and element.get("open") is None)
        or _HIDDEN.search(element.get("style", "")) is not None
    )


def _gather(root: Element, mark: Mark | None, shown: set[Element] | None) -> tuple[list[Block], list[Element]]:
    """The blocks of an element, and the elements in it that were left out as unseen.

    Args:
        root: The element.
        mark: Marks elements, as in `read_html`.
        shown: Elements that are seen, whatever they say of themselves; None: all are.
    """
    gathering = _Gathering()
    unseen: list[Element] = []
    marks: list[str | None] = [None]
    waiting = [(root, False)]
    while waiting:
        element, ends = waiting.pop()
        tag = element.tag
        if ends:
            marks.pop()
        elif tag not in _NEVER_SEEN:
            if shown is None or element in shown or not _unseen(element):
                if tag in _BLOCKS or tag in _FALLBACKS:
                    gathering.end_block()
                elif tag == "br":
                    gathering.line_break()
                elif tag in ("img", "input"):
                    gathering.add(" ", marks[-1])
                own = mark(element) if mark else None
                marks.append(marks[-1] if own is None else own)
                gathering.add(element.text, marks[-1])
                waiting.append((element, True))
                waiting += [(child, False) for child in reversed(cast("list[Element]", list(element)))]
                continue
            unseen.append(element)
        if tag in _BLOCKS or (ends and tag in _FALLBACKS):
            gathering.end_block()
        if element is not root:
            gathering.add(element.tail, marks[-1])
    gathering.end_block()
    return gathering.blocks, unseen


class _Gathering:
    """The block being gathered, and those that are whole."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._parts: list[str] = []
        self._marks: Counter[str | None] = Counter()
        self._after_break = False

    def add(self, text: str | None, mark: str | None) -> None:
        if not text:
            return
        visible = sum(map(len, text.split()))
        self._parts.append(text)
        if visible:
            self._marks[mark] += visible
            self._after_break = False

    def line_break(self) -> None:
        if self._after_break:
            self.end_block()
        self._parts.append(" ")
        self._after_break = True

    def end_block(self) -> None:
        text = " ".join("".join(self._parts).split())
        if text:
            self.blocks.append(Block(text, self._marks))
            self._marks = Counter()
        self._parts = []
        self._after_break = False


def files(root: Path, suffixes: tuple[str, ...], *, hidden: bool = False) -> Iterator[Path]:
    """Files below a folder, sorted, those of a folder before those of the folders in it; links to folders are not
    followed.

    Args:
        root: The folder.
        suffixes: Endings of the names of wanted files, e.g. `(".html",)`; `("",)` takes all.
        hidden: Whether files whose names begin with a dot are among them.
    """
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(suffixes) and (hidden or not name.startswith(".")):
                yield Path(folder) / name


def read_within(path: Path, root: Path) -> bytes:
    """The bytes of a file of a data set, unpacked when gzipped.

    Args:
        path: The file.
        root: The data set's folder, which the file must lie in, links resolved.

    Raises:
        InputError: It is not there, leads out of `root`, is too large, or is a broken gzip.
    """
    try:
        resolved = path.resolve()
        if not resolved.is_relative_to(root.resolve()):
            raise _refuse(
                "outside-folder", f"{path.name!r} leads out of its folder", f"a file inside {root}", "remove the link"
            )
        if resolved.exists() and not resolved.is_file():
            raise _refuse("no-file", f"{path.name!r} is no regular file", "a file", "remove it")
        with gzip.open(resolved, "rb") if path.suffix == ".gz" else resolved.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _refuse("no-file", f"no file {path.name!r}", "one file a page", "complete the data set") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise _refuse("broken-gzip", f"a broken gzip file: {error}", "a whole one", "copy it again") from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that is too long, no right to read
        raise _refuse(
            "no-file",
            f"{path.name[:80]!r} cannot be read: {error}"[:300],
            "a file one may read",
            "remove it, or its link",
        ) from None
    if len(content) > LARGEST:
        raise _refuse(
            "too-large", f"a page of more than {LARGEST:,} bytes", f"at most {LARGEST:,}", "cut it, or leave it out"
        )
    return content


def _refuse(rule: str, found: str, expected: str, remedy: str) -> InputError:
    return InputError(found, expected=expected, remedy=remedy, rule=rule)

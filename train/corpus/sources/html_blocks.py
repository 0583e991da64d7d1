"""HTML cut into the blocks of text a reader sees, in page order.

A block is the text between block-level tags; inline tags never break it, two line breaks in a row do. Scripts, styles,
form options, frames and what `hidden` or an inline style hides are left out. Stylesheets are not read.
"""

from __future__ import annotations

import codecs
import gzip
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from train.common.errors import InputError

LARGEST = 64 * 2**20
"""Bytes; a larger page (or a gzip that unpacks to more) is refused."""
_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "button",
        "caption",
        "center",
        "dd",
        "details",
        "dialog",
        "dir",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "frameset",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hgroup",
        "hr",
        "html",
        "label",
        "legend",
        "li",
        "main",
        "menu",
        "nav",
        "ol",
        "optgroup",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "title",
        "tr",
        "ul",
        "video",
        "audio",
        "canvas",
    ]
)
_DROPPED = frozenset(
    [
        "script",
        "style",
        "noscript",
        "template",
        "head",
        "svg",
        "math",
        "select",
        "datalist",
        "textarea",
        "iframe",
        "frame",
        "object",
        "embed",
        "applet",
        "noframes",
        "noembed",
        "map",
        "area",
    ]
)
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.I)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_WEB_ENCODING = re.compile(
    r"utf-8|utf-16|iso8859-\d+|cp125\d|cp874|koi8-[ru]|gb\d+|gbk|big5\w*|shift_jis\w*|cp932|euc_\w+|iso2022_jp\w*|mac-\w+|ascii|cp949"
)
Mark = Callable[[Any], str | None]
"""Says what an element marks the text inside it as; None leaves that to the elements around it."""


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
    """

    blocks: list[Block]
    title: str | None
    lang: str | None
    url: str | None


def read_html(content: bytes, mark: Mark | None = None) -> Html:
    """Parses a page, however broken, and cuts it into blocks.

    Args:
        content: The file's bytes; the encoding is taken from the byte order mark, the meta tag, UTF-8 or Windows-1252.
        mark: What elements mark their text as; the innermost counts.

    Raises:
        InputError: It is too large, nests too deeply to be read whole, or the parser gives up.
    """
    return cut(parse(content), mark)


def cut(root: Any, mark: Mark | None = None) -> Html:
    """Cuts a parsed page into blocks.

    Args:
        root: The page, as `parse` returns it.
        mark: Marks elements, as in `read_html`.
    """
    if root is None:
        return Html([], None, None, None)
    title = root.findtext(".//title")
    return Html(
        _blocks(root, mark),
        " ".join(title.split()) or None if title else None,
        (root.get("lang") or "")[:35] or None,
        _url(root),
    )


def parse(content: bytes) -> Any:
    """The root element of a page, however broken; None when there is nothing in it.

    Raises:
        InputError: It is too large, nests too deeply to be read whole, or the parser gives up.
    """
    from lxml import etree, html

    if len(content) > LARGEST:
        raise _refuse(
            "too-large", f"a page of {len(content):,} bytes", f"at most {LARGEST:,}", "cut it, or leave it out"
        )
    # The parser gets UTF-8: it would believe a wrong declaration, and refuse text with an XML declaration.
    text = decode(content).replace("\x00", " ").encode("utf-8", "replace")
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        root = html.document_fromstring(text, parser=parser) if text.strip() else None
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        root = None
    fatal = next((e for e in parser.error_log if e.level_name == "FATAL"), None)
    if fatal is not None and "depth" in fatal.message.lower():
        raise _refuse(
            "too-deep", fatal.message.strip(), "tags nested less than 2,048 deep", "repair the page: text would be lost"
        )
    return root


def _url(root: Any) -> str | None:
    """The page's own address: canonical link, else og:url."""
    for path, key in (('.//link[@rel="canonical"]', "href"), ('.//meta[@property="og:url"]', "content")):
        element = root.find(path)
        if element is not None and (element.get(key) or "").startswith("http"):
            return str(element.get(key))
    return None


def _blocks(root: Any, mark: Mark | None) -> list[Block]:
    from lxml import etree

    gathering = _Gathering()
    marks: list[str | None] = [None]
    walker = etree.iterwalk(root, events=("start", "end"))
    skipped: Any = None
    for event, element in walker:
        tag = element.tag if isinstance(element.tag, str) else ""
        if event == "start":
            # Pages hide themselves as a whole until their scripts have run: what is hidden on html and body is seen.
            hides = element.get("hidden") is not None or _HIDDEN.search(element.get("style") or "")
            if tag in _DROPPED or (hides and tag not in ("html", "body")):
                skipped = element
                walker.skip_subtree()
                continue
            if tag in _BLOCKS:
                gathering.end_block()
            elif tag == "br":
                gathering.line_break()
            elif tag in ("img", "input"):
                gathering.add(" ", marks[-1])
            own = mark(element) if mark else None
            marks.append(marks[-1] if own is None else own)
            gathering.add(element.text, marks[-1])
            continue
        if element is skipped:
            skipped = None
        else:
            marks.pop()
        if tag in _BLOCKS:
            gathering.end_block()
        if element is not root:
            gathering.add(element.tail, marks[-1])
    gathering.end_block()
    return gathering.blocks


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


def decode(content: bytes) -> str:
    """Text of a page's bytes; what the encoding does not know becomes U+FFFD, which `check` reports."""
    for bom, name in _BOMS:
        if content.startswith(bom):
            return content[len(bom) :].decode(name, "replace")
    declared = _CHARSET.search(content[:4096])
    named = _encoding(declared.group(1).decode("ascii", "ignore")) if declared else None
    for encoding in filter(None, (named, "utf-8")):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    if named not in (None, "utf-8"):
        return content.decode(str(named), "replace")
    # A page that is UTF-8 but for a few bytes is UTF-8; others are Windows-1252, as browsers read undeclared ones,
    # whatever they say.
    text = content.decode("utf-8", "replace")
    wide = sum(char > "\x7f" for char in text)
    return text if b"\x00" in content[:4096] or text.count("\ufffd") * 2 < wide else content.decode("cp1252", "replace")


def _encoding(name: str) -> str | None:
    """A declared encoding, if it is one of the web's: Python knows others, some of which are no encodings at all."""
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        return None
    if codec.startswith("utf-16"):
        return "utf-8"  # whoever reads this declaration as ASCII is not reading UTF-16 (HTML standard, 13.2.3.2)
    codec = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}.get(codec, codec)
    return codec if _WEB_ENCODING.fullmatch(codec) else None


def files(root: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder, sorted, those of a folder before those of the folders in it; links to folders are not
    followed.

    Args:
        root: The folder.
        suffixes: Endings of the names of wanted files, e.g. `(".html",)`; `("",)` takes all.
    """
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(suffixes) and not name.startswith("."):
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

"""Bytes to text as browsers have it: the names of the WHATWG Encoding Standard, and what a page says of itself.

Bytes beyond ASCII that are valid UTF-8 are UTF-8, whatever is declared. Else the byte order mark, the first meta tag
outside of comments and scripts, and the XML declaration count, in this order; without them it is Windows-1252.
"""

from __future__ import annotations

import codecs
import io
import re
from typing import BinaryIO

import webencodings

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_HEAD = 8192
"""Bytes in which a declaration is looked for; browsers wait for 1,024 and go on where the head does."""
_NO_MARKUP = re.compile(rb"<!--(?:.*?--!?>|.*)|<(script|style)\b.*?(?:</\1|\Z)", re.I | re.S)
_META = re.compile(rb"""<meta(?=[\s/])((?:[^>"']|"[^"]*"|'[^']*')*)""", re.I)
_ATTRIBUTE = re.compile(rb"""([^\s/>=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))""")
_CONTENT_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([^\s"';]+)""", re.I)
_XML = re.compile(rb"""\A\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)""")
_SUPERSETS = {"gbk": "gb18030", "x-user-defined": "windows-1252", "utf-16le": "utf-8", "utf-16be": "utf-8"}
"""The standard reads GBK by the decoder of GB 18030; a declaration that can be read as ASCII is not in UTF-16."""
_REPLACED = {"hz-gb-2312": "hz", "iso-2022-kr": "iso2022_kr"}
"""What browsers refuse to read for the sake of safety, and a reader of files need not."""
_FOREIGN = re.compile("[\u00c0-\u00ff]{5}")
"""Letters that Windows-1252 text does not have in a row: it is of another encoding, Cyrillic or Greek say."""


def decode(content: bytes) -> str:
    """Text of a page's bytes; what the encoding does not know becomes U+FFFD, which `check` reports."""
    for bom, name in _BOMS:
        if content.startswith(bom):
            return content[len(bom) :].decode(name, "replace")
    wide = _utf16(content)
    if wide is not None:
        return content.decode(wide, "replace")
    codec = declared(content[:_HEAD])
    if codec is not None and content.isascii():  # such as ISO-2022-JP, whose bytes are all ASCII
        return content.decode(codec, "replace")
    try:
        return content.decode()
    except UnicodeDecodeError:
        pass
    if codec not in (None, "utf-8"):
        codecs.register_error("nec-and-ibm", _nec_and_ibm)
        return content.decode(str(codec), "nec-and-ibm" if codec == "euc_jp" else "replace")
    # A page that is UTF-8 but for a few bytes is UTF-8; others are Windows-1252, as browsers read undeclared ones,
    # whatever they say.
    text = content.decode("utf-8", "replace")
    beyond = sum(char > "\x7f" for char in text)
    whole = b"\x00" in content[:4096] or text.count("\ufffd") * 2 < beyond
    return text if whole else content.decode("cp1252", "replace")


def declared(head: bytes) -> str | None:
    """The name of Python's codec for the encoding that a page declares; None when it declares none of the web's.

    Args:
        head: The page's first bytes.
    """
    for meta in _META.finditer(_NO_MARKUP.sub(b" ", head)):
        attributes = {
            name.lower(): (double or single or bare) for name, double, single, bare in _ATTRIBUTE.findall(meta[1])
        }
        label = attributes.get(b"charset")
        if label is None and attributes.get(b"http-equiv", b"").strip().lower() == b"content-type":
            inside = _CONTENT_CHARSET.search(attributes.get(b"content", b""))
            label = inside[1] if inside else None
        codec = _codec(label) if label else None
        if codec is not None:
            return codec
    xml = _XML.match(head)
    return _codec(xml[1]) if xml else None


def _codec(label: bytes) -> str | None:
    name = label.decode("ascii", "ignore").strip()
    encoding = webencodings.lookup(name)
    if encoding is None:
        return None
    if encoding.name == "replacement":
        return _REPLACED.get(name.lower())
    better = _SUPERSETS.get(encoding.name)
    return (
        better
        if better in ("gb18030", "utf-8")
        else (webencodings.lookup(better) if better else encoding).codec_info.name
    )


def _utf16(content: bytes) -> str | None:
    """UTF-16 without a byte order mark: every other of its first bytes is NUL, as its tags and columns are ASCII."""
    head = content[:64]
    if len(head) < 8 or b"\x00" not in head:
        return None
    for zeros, name in ((head[1::2], "utf-16-le"), (head[0::2], "utf-16-be")):
        if zeros.count(0) >= 0.9 * len(zeros) and head.count(0) <= 0.6 * len(head):
            return name
    return None


def _nec_and_ibm(error: UnicodeError) -> tuple[str, int]:
    """Rows of EUC-JP that Python's codec lacks, read as Shift_JIS has them: the same characters by another number."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    pair = error.object[error.start : error.start + 2]
    if len(pair) == 2 and min(pair) >= 0xA1 and max(pair) <= 0xFE:
        row, cell = pair[0] - 0xA1, pair[1] - 0xA1
        lead = row // 2 + (0x81 if row < 62 else 0xC1)
        trail = cell + (0x9F if row % 2 else 0x40 if cell < 63 else 0x41)
        return bytes((lead, trail)).decode("cp932", "replace"), error.start + 2
    return "\ufffd", error.start + 1


def open_table(raw: BinaryIO) -> io.TextIOWrapper:
    """A table's text: UTF-8, or UTF-16, or Windows-1252 where none of it beyond ASCII is UTF-8. The file is read once
    to tell. What its encoding does not know becomes surrogates, which `bad_text` finds.

    Args:
        raw: The table's bytes, at their beginning; they can be sought.
    """
    head = raw.read(64)
    marked = next((bom for bom, _ in _BOMS[1:] if head.startswith(bom)), b"")
    name = dict(_BOMS)[marked] if marked else _utf16(head)
    if name is not None:
        raw.seek(len(marked))
        return io.TextIOWrapper(raw, encoding=name, errors="replace", newline="")
    raw.seek(0)
    beyond = (line for line in raw if not line.isascii())
    utf8 = any(map(_is_utf8, beyond)) or raw.seek(0) or all(map(bytes.isascii, raw))
    raw.seek(0)
    return io.TextIOWrapper(raw, encoding="utf-8-sig" if utf8 else "cp1252", errors="surrogateescape", newline="")


def bad_text(text: str, encoding: str) -> str | None:
    """What is wrong with text that was read by `open_table`; None when it can be trusted.

    Args:
        text: A cell.
        encoding: What the file was read as.
    """
    if any("\udc80" <= char <= "\udcff" for char in text) or ("\ufffd" in text and encoding.startswith("utf-16")):
        return f"bytes that are not {'UTF-8' if encoding == 'utf-8-sig' else encoding}"
    if encoding == "cp1252" and _FOREIGN.search(text):
        return "bytes that are not UTF-8, of an encoding that cannot be told"
    return None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True

"""The text of segments: cleaned, cut into lines, counted."""

from __future__ import annotations

import re
import unicodedata

ROLES = ("main", "related", "boilerplate")
"""Fixed label order of every score vector in the project."""
HEAD_CHARS, TAIL_CHARS = 4000, 1000
"""A longer segment is read by its two ends, which bounds time and memory for hostile pages."""
CONTROL = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff\ud800-\udfff]"
"""Characters nobody sees, as a regular expression."""
_CONTROL = re.compile(CONTROL)
_WORD = re.compile(r"\w+")


def clean(text: str) -> str:
    """The text a model reads: bounded length, NFKC, no control characters or lone surrogates, single spaces."""
    text = " ".join(_CONTROL.sub(" ", unicodedata.normalize("NFKC", _two_ends(text))).split())
    # NFKC may make eighteen characters of one.
    return text if len(text) <= HEAD_CHARS + TAIL_CHARS else " ".join(_two_ends(text).split())


def _two_ends(text: str) -> str:
    return text if len(text) <= HEAD_CHARS + TAIL_CHARS else f"{text[:HEAD_CHARS]} {text[-TAIL_CHARS:]}"


def split_text(text: str) -> list[str]:
    """The segments of a page's plain text: its lines, stripped; empty ones are left out."""
    # Only line ends cut segments: str.splitlines would also cut at form feeds and U+2028.
    lines = (line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return [line for line in lines if line]


def word_count(text: str) -> int:
    r"""Number of `\w+` words."""
    return len(_WORD.findall(text))


def spaced_words(text: str) -> int:
    """Words of a cleaned text, as spaces part them."""
    return text.count(" ") + bool(text)


TOPIC_WORD_LIMIT = 20
"""A segment tells a story's topic by its words, up to so many: a byline or "3 hours ago" less than a paragraph."""

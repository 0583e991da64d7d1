"""What tells a picture's caption from a paragraph: words of pictures, agencies, credits. A sentence vector blurs
them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

END_CHARS = 200
"""Captions give themselves away at their ends: so many characters of each are read."""
_SIGNS = {
    "names_picture": (
        "photo photos photograph photographs photography photographer picture pictures image images pic foto fotos "
        "bild bilder",
        (),
        r"\b(?:photos?|photograph(?:s|y|er)?|pictures?|images?|pic|fotos?|bild(?:er)?)\b",
    ),
    "names_agency": (
        "getty reuters shutterstock istock alamy afp dpa epa unsplash imago flickr wikimedia pexels pixabay rex "
        "courtesy handout",
        ("ap photo", "associated press", "pa wire", "picture alliance"),
        r"\b(?:getty|reuters|shutterstock|istock|alamy|afp|dpa|epa|unsplash|ap photo|associated "
        r"press|imago|flickr|wikimedia"
        r"|pexels|pixabay|rex|pa wire|picture alliance|courtesy|handout)\b",
    ),
    "gives_credit": (
        "",
        ("photo", "image", "picture", "foto", "bild", "credit", "source", "quelle", "courtesy", "illustration"),
        r"\b(?:photo(?:graph)?s?|images?|pictures?|foto|bild|credit|source|quelle|courtesy|illustration)"
        r"\s*(?:by|:|/|credit|from|of)",
    ),
    "claims_copyright": ("", ("©", "(c)", "copyright"), r"©|\(c\)|copyright"),
    "points_at_picture": (
        "left right centre center above below pictured archive",
        ("seen here", "shown here", "file photo", "file picture"),
        r"\b(?:left|right|centre|center|above|below|pictured|seen here|shown here|file photo|file picture|archive)\b",
    ),
    "joins_names": ("", ("/",), r"\b[a-z][\w.'-]{1,40}/[a-z][\w.'-]"),
    "tells_a_scene": (
        "pose poses walk walks speak speaks attend attends arrive arrives hold holds look looks stand stands sit sits "
        "celebrate celebrates",
        (" seen", " pictured", " shown"),
        r"\b(?:is|are|was|were) (?:seen|pictured|shown)"
        r"|\b(?:poses?|walks?|speaks?|attends?|arrives?|holds?|looks?|stands?|sits?|celebrates?)\b",
    ),
}
"""Sign -> words and letters of which one must be there, and the sign itself. Most texts have none: to search all signs
takes four times as long."""
_PATTERNS = [
    (frozenset(words.split()), letters, re.compile(sign, re.IGNORECASE)) for words, letters, sign in _SIGNS.values()
]
_WORD = re.compile(r"\w+")
CAPTION_NAMES = (*_SIGNS, "ends_bracketed")


def captions(texts: Sequence[str]) -> np.ndarray:
    """Which signs of a caption each segment has; English and German ones.

    Args:
        texts: Cleaned segments of one page.

    Returns:
        float32 `[len(texts), len(CAPTION_NAMES)]`, 0 or 1.
    """
    rows = [[*_signs(f"{text[:END_CHARS]} {text[-END_CHARS:]}"), text.endswith((")", "]"))] for text in texts]
    return np.array(rows, np.float32).reshape(len(texts), len(CAPTION_NAMES))


def _signs(ends: str) -> list[bool]:
    # Dotted and dotless i are an i to `re` whatever the case; folding keeps them apart.
    folded = ends.replace("\u0130", "i").replace("\u0131", "i").casefold()
    words_used = set(_WORD.findall(folded))
    return [
        (not words_used.isdisjoint(words) or any(some in folded for some in letters)) and sign.search(ends) is not None
        for words, letters, sign in _PATTERNS
    ]

"""What tells a picture's caption from a paragraph: words of pictures, agencies, credits. A sentence vector blurs them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

END_CHARS = 200
"""Captions give themselves away at their ends: so many characters of each are read."""

_SIGNS = {
    "names_picture": r"\b(?:photos?|photograph(?:s|y|er)?|pictures?|images?|pic|fotos?|bild(?:er)?)\b",
    "names_agency": r"\b(?:getty|reuters|shutterstock|istock|alamy|afp|dpa|epa|unsplash|ap photo|associated press|imago|flickr|wikimedia"
    r"|pexels|pixabay|rex|pa wire|picture alliance|courtesy|handout)\b",
    "gives_credit": r"\b(?:photo(?:graph)?s?|images?|pictures?|foto|bild|credit|source|quelle|courtesy|illustration)"
    r"\s*(?:by|:|/|credit|from|of)",
    "claims_copyright": r"©|\(c\)|copyright",
    "points_at_picture": r"\b(?:left|right|centre|center|above|below|pictured|seen here|shown here|file photo|file picture|archive)\b",
    "joins_names": r"\b[a-z][\w.'-]{1,40}/[a-z][\w.'-]",
    "tells_a_scene": r"\b(?:is|are|was|were) (?:seen|pictured|shown)"
    r"|\b(?:poses?|walks?|speaks?|attends?|arrives?|holds?|looks?|stands?|sits?|celebrates?)\b",
}
_PATTERNS = [re.compile(sign, re.IGNORECASE) for sign in _SIGNS.values()]
CAPTION_NAMES = (*_SIGNS, "ends_bracketed")


def captions(texts: Sequence[str]) -> np.ndarray:
    """Which signs of a caption each segment has; English and German ones.

    Args:
        texts: Cleaned segments of one page.

    Returns:
        float32 `[len(texts), len(CAPTION_NAMES)]`, 0 or 1.
    """
    rows = np.zeros((len(texts), len(CAPTION_NAMES)), np.float32)
    for row, text in zip(rows, texts, strict=True):
        ends = f"{text[:END_CHARS]} {text[-END_CHARS:]}"
        row[:-1] = [pattern.search(ends) is not None for pattern in _PATTERNS]
        row[-1] = text.endswith((")", "]"))
    return rows

"""The pages that lie in every bundle as its golden pages: written for this project, one for each way a page can be, odd
ones too."""

from __future__ import annotations

import json
from pathlib import Path

from train.common.files import write_text
from train.runtime import Labeler, golden

_STORY = [
    "Harbour bridge reopens after storm",
    "By Ilka Trondsen, Saltmarket Gazette",
    "The bridge over the harbour reopened on Monday, four days after a storm tore away part of its deck and cut the "
    "island off.",
    "Engineers worked two nights in sleet to bolt new plates to the northern span, and buses crossed it again before "
    "the schools opened.",
    '"We were lucky that nobody was on it," said harbour master Oda Brenn, who had closed the road an hour before the '
    "first plate fell.",
]
_TEASERS = [
    "Ferry company adds night sailings",
    "The last boat will leave at half past eleven from next week, two hours later than now.",
    "Council puts off vote on cycle lanes",
    "A decision was due on Thursday; now a second report on parking is to be read first.",
]
_MENU = ["Home", "News", "Sport", "Weather", "Subscribe", "Log in"]
_FOOT = ["Contact us", "Privacy policy", "© Saltmarket Gazette. All rights reserved."]
PAGES: dict[str, list[str]] = {
    "plain": [*_MENU, *_STORY, "Share this article", "Related articles", *_TEASERS, *_FOOT],
    "no-related": [*_MENU, *_STORY, *_FOOT],
    "no-heading": [*_STORY, *_TEASERS, *_FOOT],
    "related-inside": [
        *_STORY[:3],
        f"READ MORE: {_TEASERS[0]}",
        "Advertisement",
        *_STORY[3:],
        "Comments",
        "No comments yet",
    ],
    "german": [
        "Startseite",
        "Anmelden",
        "Hafenbrücke nach Sturm wieder offen",
        "Die Brücke über den Hafen ist seit Montag wieder befahrbar, vier Tage nachdem ein Sturm einen Teil der "
        "Fahrbahn abgerissen hatte.",
        "Lesen Sie auch",
        "Reederei fährt künftig auch nachts",
        "Impressum",
        "Datenschutz",
    ],
    "front-page": [*_MENU, *_TEASERS[::2], *_STORY[:1], *_FOOT],
    "one-segment": [_STORY[2]],
    "empty": [],
    "blank-segments": ["", " ", "\t", "\u200b", "…"],
    "odd-characters": [
        "Ｈａｒｂｏｕｒ　ｂｒｉｄｇｅ",
        "Café ﬁnds naïve “quotes”",
        "🌉 bridge 🌉 👩‍👩‍👧",
        "‮reversed‬ and \u0000nul",
        "橋が再開した。",
        "ﷺ" * 20,
        "e\u0301" * 30,
    ],
    "mark-up": [
        "<script>alert(1)</script>",
        "&amp;nbsp;",
        "[node:48213 field_tags]",
        "{{ page.title }}",
        "javascript:void(0)",
        _STORY[2],
    ],
    "long-segment": [_STORY[0], " ".join(_STORY[2:] * 40), *_FOOT],
    "long-page": [
        *_MENU,
        *_STORY,
        *(line for n in range(60) for line in (f"{_TEASERS[0]}, part {n}", _TEASERS[1])),
        *_FOOT,
    ],
}


def write_golden(labeler: Labeler, folder: Path) -> Path:
    """Writes the golden pages with the model's predictions into a bundle's folder; returns the file.

    Args:
        labeler: The bundle's model, loaded.
        folder: The bundle's folder.
    """
    records = [golden.without_model(record) for record in labeler.label(PAGES.items())]
    path = folder / golden.FILE
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))
    return path

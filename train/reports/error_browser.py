"""All errors of a run on one static page: filtered by role pair, site, slice and confidence, each among its neighbours
on the page; and the probable errors of labels in the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.text import Text

from train.annotation.label_errors import MIN_WORDS, LabelError, label_errors
from train.corpus.page import Page
from train.evaluation.slices import Predictions, slice_values
from train.inference.explain import Explainer
from train.reports.html import write_page
from train.reports.page_view import View, view_of
from train.reports.terminal import columns, shortened
from train.runtime.text import ROLES, word_count

NEIGHBOURS = 3
MOST = 1500
"""So many errors are on the page at most, the most confident ones: a browser must open it at once."""


def errors_of(
    pages: Sequence[Page], records: Sequence[Mapping[str, Any]], answers: Predictions
) -> list[dict[str, Any]]:
    """The segments that were not read as labelled, the most confident mistake first.

    Args:
        pages: Labelled pages.
        records: `predict`'s records of these pages, in the same order.
        answers: Labelled and predicted roles of their segments, as `predictions_of` gives them.

    Returns:
        `{"page_id", "site", "segment", "text", "labelled", "read_as", "confidence", "doubtful"}` of each, and the value
        of each slice; `doubtful`: confident learning takes the label for a probable error.
    """
    values = slice_values(pages, answers)
    wrong = np.flatnonzero(answers.gold != answers.predicted)
    sure = answers.confidence
    doubted: set[tuple[str, int]] = set()
    if len(wrong) and len(np.unique(answers.gold)) > 1:
        doubted = {(error.page_id, error.segment) for error in label_errors(pages, records)}
    errors = []
    for row in wrong[np.argsort(-sure[wrong], kind="stable")]:
        page, i = pages[answers.page[row]], int(answers.segment[row])
        errors.append(
            {
                "page_id": page.page_id,
                "site": page.site,
                "segment": i,
                "text": page.segments[i].text,
                "labelled": ROLES[answers.gold[row]],
                "read_as": ROLES[answers.predicted[row]],
                "confidence": round(float(sure[row]), 4),
                "doubtful": (page.page_id, i) in doubted,
                **{f"slice: {name}": str(column[row]) for name, column in values.items()},
            }
        )
    return errors


def write_error_browser(
    path: Path,
    errors: Sequence[Mapping[str, Any]],
    pages: Sequence[Page],
    records: Sequence[Mapping[str, Any]],
    explainer: Explainer | None,
    *,
    scored: int,
) -> None:
    """Writes the errors as a page that needs no server, `MOST` at most.

    Args:
        path: The HTML file to write.
        errors: As `errors_of` gives them.
        pages: The labelled pages they are of.
        records: `predict`'s records of these pages, in the same order.
        explainer: Tells what decided a segment; None where the model cannot say.
        scored: The number of segments that the errors are counted among.
    """
    shown = errors[:MOST]
    wanted = {error["page_id"] for error in shown}
    views = {
        page.page_id: view_of(record, page, explainer)
        for page, record in zip(pages, records, strict=True)
        if page.page_id in wanted
    }
    cards = [_card(error, views[error["page_id"]]) for error in shown]
    slices = Counter(tag for card in cards for tag in card["tags"])
    write_page(
        path,
        "Errors",
        template="errors.html",
        styles=["view.css", "errors.css"],
        script="errors.js",
        errors=len(errors),
        scored=scored,
        pages=len({error["page_id"] for error in errors}),
        doubtful=sum(error["doubtful"] for error in errors),
        pairs=Counter(card["pair"] for card in cards).most_common(),
        sites=Counter(str(error["site"]) for error in shown).most_common(),
        slices=sorted(slices.items(), key=lambda item: (item[0].partition(":")[0], -item[1])),
        cards=cards,
    )


def _card(error: Mapping[str, Any], view: View) -> dict[str, Any]:
    """What the page shows of an error: itself, what the filters know it by, and which segments stand around it."""
    i, segments = error["segment"], view.record["segments"]
    prefix = "slice: "
    return {
        "error": error,
        "view": view,
        "pair": f"{error['labelled']} read as {error['read_as']}",
        "tags": [f"{name.removeprefix(prefix)}: {error[name]}" for name in error if name.startswith(prefix)],
        "around": range(max(0, i - NEIGHBOURS), min(len(segments), i + NEIGHBOURS + 1)),
    }


def label_errors_view(errors: Sequence[LabelError], pages: Sequence[Page], *, shown: int = 20) -> RenderableType:
    """How many probable label errors there are by role, and the surest of them.

    Args:
        errors: Probable label errors, the surest first.
        pages: The labelled pages they were looked for on.
        shown: So many of the surest are listed.
    """
    roles = Counter(str(s.role) for page in pages for s in page.segments if word_count(s.text) >= MIN_WORDS)
    by_role = columns("given", "suggested", "segments", "of the given role", left=2)
    for (given, suggested), count in Counter((e.given, e.suggested) for e in errors).most_common():
        by_role.add_row(given, suggested, f"{count:,}", f"{count / roles[given]:.1%}")
    title = f"The {min(shown, len(errors))} surest"
    surest = columns("quality", "given", "suggested", "page", "text", left=5, title=title, wrap=False)
    for error in errors[:shown]:
        place, text = escape(f"{error.page_id}:{error.segment}"), escape(shortened(error.text, 60))
        surest.add_row(f"{error.quality:.3f}", error.given, error.suggested, place, text)
    return Group(by_role, Text(), surest)

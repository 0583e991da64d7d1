"""A labelled page as a reader sees it, in HTML and in the terminal: segments coloured and signed by role, stories boxed
with their topic, confidence as shade."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from train.corpus.page import Page
from train.inference.explain import Explainer, Reason
from train.reports.html import write_page
from train.reports.terminal import STYLE, columns, shortened

MOST_PAGES = 100
"""So many pages are in one HTML file at most."""


@dataclass(frozen=True)
class View:
    """What is shown of a page.

    Args:
        record: The record that `predict` prints for the page.
        gold: The page with its labels, when it has some.
        why: For each segment, what decided its first reading: features and how much each speaks for it; None where a
            model cannot say.
    """

    record: Mapping[str, Any]
    gold: Page | None = None
    why: Sequence[Sequence[tuple[str, float]]] | None = None

    @property
    def url(self) -> str | None:
        """The page's address, when it is known."""
        return None if self.gold is None else self.gold.url

    @property
    def labelled(self) -> bool:
        """Whether there are labels to compare with."""
        return self.gold is not None and self.gold.labelled

    @property
    def wrong(self) -> int:
        """The number of segments that are not read as labelled."""
        gold = () if self.gold is None else self.gold.segments
        return sum(s.role != answer["role"] for s, answer in zip(gold, self.record["segments"], strict=True))

    def boxes(self) -> Iterator[Box]:
        """The page from top to bottom: consecutive segments of one story stand in one box."""
        stories = {story["story"]: story for story in self.record["stories"]}
        seen: set[int | None] = set()
        for number, some in groupby(enumerate(self.record["segments"]), key=lambda item: item[1]["story"]):
            yield Box(number, stories.get(number), number in seen, list(some))
            seen.add(number)


class Box(NamedTuple):
    """Consecutive segments of one story, or of none.

    Args:
        number: The story's number; None for segments outside all stories.
        story: The story as the record has it.
        continued: Whether the story began in an earlier box.
        segments: Place on the page and answer of each segment.
    """

    number: int | None
    story: Mapping[str, Any] | None
    continued: bool
    segments: Sequence[tuple[int, Mapping[str, Any]]]


def view_of(record: Mapping[str, Any], page: Page, explainer: Explainer | None) -> View:
    """The view of a page with what decided each segment, where the model can say.

    Args:
        record: The record that `predict` prints for the page.
        page: The page, labelled or not.
        explainer: Tells what decided a segment; None where the model cannot say.
    """
    return View(record, page, [reason.features for reason in explainer.why(page.texts, 4)] if explainer else None)


def write_view(path: Path, title: str, views: Iterable[View], *, note: str = "") -> None:
    """Writes pages below each other as one static page, `MOST_PAGES` at most.

    Args:
        path: The HTML file to write.
        title: The page's title.
        views: The pages to show.
        note: Says in a line what they are.
    """
    shown = list(islice(views, MOST_PAGES + 1))
    cut = len(shown) > MOST_PAGES
    write_page(path, title, template="pages.html", styles=["view.css"], views=shown[:MOST_PAGES], cut=cut, note=note)


def page_view(record: Mapping[str, Any], *, width: int = 100) -> RenderableType:
    """A labelled page: each segment with its sign, role, story and confidence, then its stories with their topics.

    Args:
        record: The record that `predict` prints for the page.
        width: The width of a line, in characters.
    """
    lines = columns("", "role", "story", "conf.", "segment", left=2, wrap=False)
    lines.columns[-1].justify = "left"
    for segment in record["segments"]:
        sign, style = STYLE[segment["role"]]
        story = "" if segment["story"] is None else str(segment["story"])
        text = Text(shortened(segment["text"], width - 34), style)
        lines.add_row(Text(sign, style), Text(segment["role"], style), story, f"{segment['confidence']:.2f}", text)
    stories = columns("story", "role", "topic", "conf.", "segments", "begins", left=6, title="Stories", wrap=False)
    stories.title_style = "bold"
    for story in record["stories"]:
        words = " ".join(record["segments"][i]["text"] for i in story["segments"])
        stories.add_row(
            str(story["story"]),
            story["role"],
            story["topic"] or "-",
            f"{story['confidence']:.2f}",
            str(len(story["segments"])),
            escape(shortened(words, 52)),
        )
    model = record["model"]
    return Group(lines, Text(), stories, Text(f"by {model['name']} {model['version']} ({model['family']})", "dim"))


def why_view(texts: Sequence[str], reasons: Sequence[Reason], *, width: int = 100) -> RenderableType:
    """Each segment with what it reads as by itself, against what, and the features that decided.

    Args:
        texts: The text of each segment.
        reasons: What decided each segment.
        width: The width of a line, in characters.
    """
    lines: list[RenderableType] = []
    for text, reason in zip(texts, reasons, strict=True):
        sign, style = STYLE[reason.state.partition("-")[0]]
        lines.append(Text(f"{sign} {shortened(text, width - 4)}", style))
        features = ", ".join(f"{name} {value:+.2f}" for name, value in reason.features)
        lines.append(Text(f"    {reason.state} {reason.probability:.2f}, not {reason.other}: {features}", "dim"))
    return Group(*lines)


def top_features_view(features: Mapping[str, Sequence[tuple[str, float]]]) -> RenderableType:
    """The features that speak most for each state, side by side, each with its weight."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for state in features:
        table.add_column(state, no_wrap=True, max_width=26)
        table.add_column("", justify="right", style="dim")
    for row in zip(*features.values(), strict=True):
        table.add_row(*(cell for name, weight in row for cell in (escape(name), f"{weight:+.2f}")))
    return table

"""Labelled stretches of a text become labelled segments: what doccano, Prodigy and Label Studio share.

A segment is a line of the text. It has the label that covers more than half of its visible characters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from train.common.errors import InputError
from train.corpus.column_mapping import ColumnMapping
from train.corpus.sources.rows import PAGE_COLUMNS

PASSED_OVER = "passed_over"
"""The key of a page that counts what its task held besides labels: relations, comments, answers to other questions."""
_STORY_SIGN = "#"
NO_STORY = -1
"""Says that a related stretch has no story number, where leaving the number out would give it one of its own."""
MOST_OVERLAPPING = 50
"""More different labels on one line are no labelling; the bound keeps time linear."""
_Mark = tuple[Any, int | None]
_Stretch = tuple[int, int, _Mark]


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch `text[start:end]`.

    Args:
        start: Offset of its first character.
        end: Offset after its last character.
        label: Its label, without the story.
        story: The story's number, `NO_STORY` for none, or None where the label does not say.
        topic: The story's topic, or None.
    """

    start: int
    end: int
    label: str
    story: int | None = None
    topic: str | None = None


def span(start: Any, end: Any, label: Any, length: int, *, story: Any = None, topic: Any = None) -> Span:
    """Makes a span from values as a file holds them, and checks them.

    Args:
        start: Offset of the first character.
        end: Offset after the last one.
        label: The label, which may state the story, as in `related#2`.
        length: The number of characters of the text.
        story: The story's number, or None.
        topic: The story's topic; anything but a string is none.

    Raises:
        InputError: They are no stretch of the text, or label or story are malformed.
    """
    whole = [isinstance(value, int) and not isinstance(value, bool) for value in (start, end)]
    if not (all(whole) and 0 <= start < end <= length):
        raise _refuse(
            "bad-span", f"a label from {start!r} to {end!r}", f"character offsets within 0..{length}", "export again"
        )
    if not isinstance(label, str):
        raise _refuse("bad-span", f"a label {label!r}", "a string", "export again")
    if isinstance(story, float) and story.is_integer():
        story = int(story)
    if story is not None and (isinstance(story, bool) or not isinstance(story, int) or story < NO_STORY):
        raise _refuse(
            "bad-story", f"story {story!r}", "a whole number from 0, or -1 for none", "number the page's stories"
        )
    if story is None and _STORY_SIGN in label:
        label, _, number = label.rpartition(_STORY_SIGN)
        if not (number.isascii() and number.isdigit()):
            raise _refuse(
                "bad-story",
                f"label {label + _STORY_SIGN + number!r}",
                "ROLE#NUMBER, e.g. related#2",
                "rename the label",
            )
        story = int(number[:9])
    return Span(start, end, label, story, topic if isinstance(topic, str) else None)


def segments(
    lines: Sequence[str], spans: Iterable[Span], naming: ColumnMapping, texts: Sequence[str] | None = None
) -> list[dict[str, Any]]:
    """Segment records of a text's lines; blank lines are no segments.

    Without any span the page is unlabelled. A line without a label is boilerplate, unless somebody labelled boilerplate
    on this page: then it was forgotten, and stays without a role. Each related span is a story of its own unless it
    says which.

    Args:
        lines: The text's lines, without line ends; offsets of spans count one character for each line end.
        spans: In any order.
        naming: Maps labels to roles.
        texts: What each line says where it is not the line itself (a line end inside a segment).

    Raises:
        InputError: Two roles cover the same line.
    """
    ordered = sorted(spans, key=lambda s: (s.start, s.end))
    roles = [naming.role(s.label) for s in ordered]
    everything_labelled = "boilerplate" in roles
    numbers = _story_numbers(ordered, roles)
    marks: dict[_Mark, list[int]] = {}  # role and story -> its spans, by their start
    for i, key in enumerate(zip(roles, numbers, strict=True)):
        marks.setdefault(key, []).append(i)
    topics = {
        key: next((ordered[i].topic for i in own if ordered[i].topic is not None), None) for key, own in marks.items()
    }
    stretches = sorted(
        ((start, end, key) for key, own in marks.items() for start, end in _joined([ordered[i] for i in own])),
        key=lambda s: s[:2],
    )
    records: list[dict[str, Any]] = []
    active: list[_Stretch] = []
    coming = begin = 0
    for line, text in zip(lines, texts or lines, strict=True):
        end = begin + len(line)
        while coming < len(stretches) and stretches[coming][0] < end:
            active.append(stretches[coming])
            coming += 1
        active = [stretch for stretch in active if stretch[1] > begin]
        if line.strip():
            record: dict[str, Any] = {"text": text.strip()}
            holder = _holder(line, begin, active)
            if holder is not None:
                record |= {"role": holder[0], "story": holder[1], "topic": topics[holder]}
            elif ordered and not everything_labelled:
                record |= {"role": "boilerplate", "story": None, "topic": None}
            records.append(record)
        begin = end + 1
    return records


def about_page(page_id: str, *parts: Mapping[str, Any]) -> dict[str, Any]:
    """What a labelling tool's task says of its page.

    Args:
        page_id: Its id, where no part has one.
        parts: Keys and values, the later ones before the earlier; those without a value say nothing.
    """
    told = {key: value for part in parts for key, value in part.items() if value is not None}
    return {"page_id": page_id, **{k: v for k, v in told.items() if v != "" or k not in PAGE_COLUMNS}}


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object, or an empty one where the value is something else."""
    return value if isinstance(value, dict) else {}


def no_text(record: Mapping[str, Any], rule: str, expected: str) -> InputError:
    """The refusal of a task without a text, by the keys that it has.

    Args:
        record: The task, its columns renamed.
        rule: The rule that it breaks.
        expected: Where the tool keeps the text.
    """
    texts = {key: value for key, value in record.items() if isinstance(value, str)}
    longest = max(texts, key=lambda key: len(texts[key]), default="theirs")
    found = f"a task without text; it has {', '.join(map(str, record)) or 'nothing'}"
    return _refuse(rule, found, expected, f'export again; if the text has another name, COLUMNS="{longest}=text"')


def _joined(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Stretches of one label, those that touch or overlap joined."""
    joined: list[tuple[int, int]] = []
    for s in spans:
        if joined and s.start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], s.end)
        else:
            joined.append((s.start, s.end))
    return joined


def _holder(line: str, begin: int, active: Sequence[_Stretch]) -> _Mark | None:
    """The role and story that cover more than half of a line's visible characters."""
    if len(active) > MOST_OVERLAPPING and len({key for _, _, key in active}) > MOST_OVERLAPPING:
        raise _refuse(
            "overlapping-labels",
            f"the line {line.strip()[:40]!r} has more than {MOST_OVERLAPPING} labels",
            "one role a line",
            "delete the others",
        )
    seen = list(accumulate((not char.isspace() for char in line), initial=0))
    covered: Counter[_Mark] = Counter()
    for start, end, key in active:
        covered[key] += seen[min(len(line), end - begin)] - seen[max(0, start - begin)]
    holders = [key for key, visible in covered.items() if visible * 2 > seen[-1]]
    if len({role for role, _ in holders}) > 1:
        raise _refuse(
            "overlapping-labels",
            f"the line {line.strip()[:40]!r} is {' and '.join(sorted({str(role) for role, _ in holders}))}",
            "one role a line",
            "delete one of the labels",
        )
    return holders[0] if holders else None


def _story_numbers(spans: Sequence[Span], roles: Sequence[Any]) -> list[int | None]:
    """Main is story 0; related spans keep their number, the others take the next free ones in page order."""
    taken = {s.story for s, role in zip(spans, roles, strict=True) if role == "related" and s.story is not None}
    numbers: list[int | None] = []
    following = 1
    for s, role in zip(spans, roles, strict=True):
        if role == "related" and s.story is None:
            while following in taken:
                following += 1
            numbers.append(following)
            following += 1
        else:
            numbers.append(0 if role == "main" else None if s.story == NO_STORY else s.story)
    return numbers


def split_lines(text: str) -> list[str]:
    """Lines of a text whose offsets count one character a line end; `\\r` stays at a line's end, where it is stripped
    later."""
    return text.split("\n")


def _refuse(rule: str, found: str, expected: str, remedy: str) -> InputError:
    return InputError(found, expected=expected, remedy=remedy, rule=rule)

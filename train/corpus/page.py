"""A page of text segments, and its JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from train.common.errors import InputError
from train.runtime.text import ROLES

LABELS = ("role", "story", "topic")
"""Keys of a labelled segment."""
_SEGMENT_KEYS = ("text", *LABELS)
_PAGE_KEYS = ("page_id", "site", "lang", "title", "url", "date", "segments")


@dataclass(frozen=True, slots=True)
class Segment:
    """One visible block of a page's text.

    Args:
        text: The text as scraped.
        role: `main`, `related` or `boilerplate`; None when unlabelled.
        story: 0 for the main story, 1, 2, … for related items, None for boilerplate or when unlabelled.
        topic: The story's topic; None when it has none.
        extra: Unknown keys, kept as they came.
    """

    text: str
    role: str | None = None
    story: int | None = None
    topic: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its segments in page order and what is known of it.

    Args:
        page_id: Unique in a corpus.
        site: Registered domain; the unit of splitting. Empty when unknown.
        segments: In page order.
        lang: Language code or None.
        title: The page's title or None.
        url: Its address or None.
        date: `YYYY-MM-DD` or None.
        extra: Unknown keys, kept as they came.
    """

    page_id: str
    site: str
    segments: tuple[Segment, ...]
    lang: str | None = None
    title: str | None = None
    url: str | None = None
    date: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def texts(self) -> list[str]:
        """The segments' texts."""
        return [segment.text for segment in self.segments]

    @property
    def labelled(self) -> bool:
        """Whether every segment has a role."""
        return all(segment.role is not None for segment in self.segments)

    def with_segments(self, segments: tuple[Segment, ...]) -> Page:
        """The same page with other segments."""
        return replace(self, segments=segments)

    def without_topics(self) -> Page:
        """The same page, no story's topic known."""
        return self.with_segments(tuple(replace(segment, topic=None) for segment in self.segments))

    def to_json(self) -> dict[str, Any]:
        """Its JSON object, as on disk; keys of unlabelled segments are left out."""
        segments = []
        for s in self.segments:
            labels = {} if s.role is None else {"role": s.role, "story": s.story, "topic": s.topic}
            segments.append({"text": s.text, **labels, **s.extra})
        known = {key: getattr(self, key) for key in _PAGE_KEYS[:-1]}
        return {**known, **self.extra, "segments": segments}


def _refuse(rule: str, found: str, expected: str, remedy: str) -> InputError:
    return InputError(found, expected=expected, remedy=remedy, rule=rule)


def whole_number(value: Any) -> Any:
    """A whole number as data has it (`3`, `"3"`, `3.0` from pandas), NaN and an empty cell as None; anything else as it
    is, for `parse_page` to refuse."""
    if value in (None, "") or value != value:
        return None
    if isinstance(value, bool):
        return value
    try:
        number = float(value)
        return int(number) if number.is_integer() else value
    except (TypeError, ValueError, OverflowError):
        return value


def parse_page(record: Any, *, labelled: bool) -> Page:
    """Turns one JSON object into a Page.

    Args:
        record: The decoded JSON value.
        labelled: Whether roles and a site are required.

    Raises:
        InputError: The record breaks the contract; `rule` names how. Path and line are the caller's to add.
    """
    if not isinstance(record, dict):
        raise _refuse(
            "not-an-object", f"a JSON {type(record).__name__}", "one JSON object a line", "see train/corpus/README.md"
        )
    page_id = record.get("page_id")
    if not isinstance(page_id, str) or not page_id:
        raise _refuse(
            "no-page-id",
            f"page_id is {page_id!r}",
            "a non-empty string",
            "give every page an id that is unique in the corpus",
        )
    name = f"page {page_id!r}"
    segments = record.get("segments")
    if not isinstance(segments, list) or (labelled and not segments):
        fault = "has no segments" if segments in (None, []) else f"has segments of type {type(segments).__name__}"
        raise _refuse(
            "no-segments",
            f"{name} {fault}",
            'a list of {"text": …, "role": …}',
            "cut the page into segments, or drop it",
        )
    site = record.get("site") or ""
    if labelled and (not isinstance(site, str) or not site):
        raise _refuse(
            "no-site",
            f"{name} has no site",
            "the registered domain it comes from",
            "splits are by site: name it, e.g. 'example.org'",
        )
    for key in ("lang", "title", "url", "date"):
        if record.get(key) is not None and not isinstance(record[key], str):
            raise _refuse(
                "bad-key", f"{name}: {key} is {record[key]!r}", "a string or null", f"write {key} as a string"
            )
    return Page(
        page_id=page_id,
        site=str(site),
        segments=tuple(_parse_segment(s, f"{name}, segment {i}", labelled) for i, s in enumerate(segments)),
        **{key: record.get(key) for key in ("lang", "title", "url", "date")},
        extra={key: value for key, value in record.items() if key not in _PAGE_KEYS},
    )


def _parse_segment(record: Any, name: str, labelled: bool) -> Segment:
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise _refuse(
            "bad-segment", f"{name} has no text", '{"text": "…", "role": …}', "give every segment a string 'text'"
        )
    role, story, topic = record.get("role"), whole_number(record.get("story")), record.get("topic")
    if role not in ROLES and (labelled or role is not None):
        label = "no role" if role is None else f"role {role!r}"
        raise _refuse(
            "unknown-role",
            f"{name} has {label}",
            f"one of {', '.join(ROLES)}",
            "map your labels onto these three roles",
        )
    if story is not None and (isinstance(story, bool) or not isinstance(story, int) or not 0 <= story < 2**31):
        raise _refuse(
            "bad-story",
            f"{name}: story is {record['story']!r}",
            "an integer from 0, or null",
            "number the main story 0 and related items 1, 2, …",
        )
    if topic is not None and not isinstance(topic, str):
        raise _refuse("bad-topic", f"{name}: topic is {topic!r}", "a string or null", "name topics by strings")
    if role == "main":
        story = 0
    elif (role == "boilerplate" and story is not None) or (role == "related" and story == 0):
        raise _refuse(
            "story-role-mismatch",
            f"{name} is {role} and has story {story}",
            "main has story 0, related 1, 2, … or null, boilerplate null",
            "renumber the page's stories",
        )
    extra = {key: value for key, value in record.items() if key not in _SEGMENT_KEYS}
    return Segment(record["text"], role, story, topic, extra)

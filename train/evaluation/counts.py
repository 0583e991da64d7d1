"""What is counted on a page: events that add up over pages and sites, and the metrics made of their sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from train.common.errors import InputError
from train.corpus.page import Page
from train.evaluation.text_overlap import TEXT_EVENTS, text_events, text_scores
from train.runtime.text import ROLES, word_count

MIN_WORDS = 3
"""Segments of fewer words are not scored by role."""
BODY_WORDS = 25
"""A related segment of so many words is a related body, which reads like a main story; a story of fewer words is a
teaser, whose headline alone often leaves its topic open: topic scores of teasers are reported apart."""
_EVENTS = ("tp", "fp", "fn")
_TOPIC_KINDS = ("topic", "topic_teaser")


class CountTable:
    """The countable events of a page, a column each; and the metrics made of their sums.

    Args:
        topics: The topics that labelled stories have; without any, topics are not scored.
    """

    def __init__(self, topics: tuple[str, ...]) -> None:
        classes = [f"{kind}/{role}" for kind in ("role", "body") for role in ROLES] + ["words", "boundary"]
        classes += [f"{kind}/{topic}" for kind in _TOPIC_KINDS for topic in topics]
        names = [f"{name}/{event}" for name in classes for event in _EVENTS]
        names += ["boundary/pages", "leak/n", "leak/hit", *TEXT_EVENTS]
        names += [f"{kind}/{event}" for kind in _TOPIC_KINDS for event in ("n", "right")]
        self.topics = topics
        self.column = {name: i for i, name in enumerate(names)}

    def count(self, page: Page, record: Mapping[str, Any]) -> np.ndarray:
        """The counts of one page, `[columns]`.

        Args:
            page: The labelled page.
            record: Its record, with as many segments.
        """
        row = np.zeros(len(self.column))
        for segment, prediction in zip(page.segments, record["segments"], strict=True):
            self._count_segment(row, str(segment.role), prediction["role"], word_count(segment.text))
        self._count_boundaries(row, page, record)
        self._count_text(row, page, record)
        if self.topics:
            self._count_topics(row, page, record)
        return row

    def _count_segment(self, row: np.ndarray, gold: str, predicted: str, words: int) -> None:
        if words >= MIN_WORDS:
            self._count_class(row, "role", gold, predicted)
            if gold == "related":
                row[self.column["leak/n"]] += 1
                row[self.column["leak/hit"]] += predicted == "main"
        if words >= BODY_WORDS:
            self._count_class(row, "body", gold, predicted)
        if "main" in (gold, predicted):
            event = "tp" if gold == predicted else "fn" if gold == "main" else "fp"
            row[self.column[f"words/{event}"]] += words

    def _count_class(self, row: np.ndarray, kind: str, gold: str, predicted: str | None) -> None:
        if gold == predicted:
            row[self.column[f"{kind}/{gold}/tp"]] += 1
            return
        row[self.column[f"{kind}/{gold}/fn"]] += 1
        # A predicted topic that no labelled story has is scored nowhere.
        if f"{kind}/{predicted}/fp" in self.column:
            row[self.column[f"{kind}/{predicted}/fp"]] += 1

    def _count_boundaries(self, row: np.ndarray, page: Page, record: Mapping[str, Any]) -> None:
        if any(s.story not in (None, 0) for s in page.segments):
            gold = _starts([s.story for s in page.segments])
            predicted = _starts([s["story"] for s in record["segments"]])
            row[self.column["boundary/tp"]] += len(gold & predicted)
            row[self.column["boundary/fp"]] += len(predicted - gold)
            row[self.column["boundary/fn"]] += len(gold - predicted)
            row[self.column["boundary/pages"]] += 1

    def _count_text(self, row: np.ndarray, page: Page, record: Mapping[str, Any]) -> None:
        gold = "\n".join(s.text for s in page.segments if s.role == "main")
        pairs = zip(page.segments, record["segments"], strict=True)
        predicted = "\n".join(s.text for s, prediction in pairs if prediction["role"] == "main")
        for name, value in zip(TEXT_EVENTS, text_events(gold, predicted), strict=True):
            row[self.column[name]] += value

    def _count_topics(self, row: np.ndarray, page: Page, record: Mapping[str, Any]) -> None:
        topic_of = {story["story"]: story["topic"] for story in record["stories"]}
        for kind, topic, words in _topic_stories(page):
            # The predicted story that covers most of the labelled story's words is compared with it.
            cover: Counter[int] = Counter()
            for i, n in words:
                story = record["segments"][i]["story"]
                if story is not None:
                    cover[story] += n + 1
            predicted = topic_of.get(cover.most_common(1)[0][0]) if cover else None
            row[self.column[f"{kind}/n"]] += 1
            row[self.column[f"{kind}/right"]] += predicted == topic
            self._count_class(row, kind, topic, predicted)

    def absent_roles(self, counts: np.ndarray) -> tuple[str, ...]:
        """The roles that no scored segment has, neither labelled nor predicted, by counts `[columns]`."""
        return tuple(
            role for role in ROLES if not any(counts[self.column[f"role/{role}/{event}"]] for event in _EVENTS)
        )

    def metrics(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Metric -> its values `[…]`, from counts `[…, columns]`."""

        def column(name: str) -> np.ndarray:
            return np.asarray(counts[..., self.column[name]])

        def f1(prefix: str) -> np.ndarray:
            return f1_of(*(column(f"{prefix}/{event}") for event in _EVENTS))

        roles = {role: f1(f"role/{role}") for role in ROLES}
        values = {"role/macro_f1": np.mean(list(roles.values()), axis=0)}
        values |= {f"role/f1/{role}": value for role, value in roles.items()}
        values["role/f1/related_body"] = f1("body/related")
        values["role/main_words_f1"] = f1("words")
        values["role/related_leak"] = column("leak/hit") / np.maximum(column("leak/n"), 1)
        values |= text_scores(np.stack([column(name) for name in TEXT_EVENTS], axis=-1))
        values["story/boundary_f1"] = f1("boundary")
        if self.topics:
            for kind in _TOPIC_KINDS:
                # A topic that no story of this kind (of this resample) has is no class of its own: predicting it costs
                # the others.
                has = np.stack([column(f"{kind}/{t}/tp") + column(f"{kind}/{t}/fn") > 0 for t in self.topics])
                by_topic = np.stack([f1(f"{kind}/{topic}") for topic in self.topics])
                values[f"{kind}/macro_f1"] = np.where(has, by_topic, 0.0).sum(axis=0) / np.maximum(has.sum(axis=0), 1)
                values[f"{kind}/accuracy"] = column(f"{kind}/right") / np.maximum(column(f"{kind}/n"), 1)
            values |= {f"topic/f1/{topic}": f1(f"topic/{topic}") for topic in self.topics}
        return values


def count_by_site(pages: Sequence[Page], records: Iterable[Mapping[str, Any]]) -> tuple[CountTable, np.ndarray]:
    """Counts the events of labelled pages, summed by site.

    Args:
        pages: Labelled pages.
        records: One record a page, in any order.

    Returns:
        The table that makes metrics of such counts, and the counts `[sites, columns]`, sites in alphabetical order.

    Raises:
        InputError: There is no page, or a page has no record, or one with another number of segments.
    """
    if not pages:
        raise InputError(
            "no page to score", expected="at least one labelled page", remedy="check the corpus and its split"
        )
    table = CountTable(tuple(sorted({s.topic for page in pages for s in page.segments if s.topic is not None})))
    by_id = {record["page_id"]: record for record in records}
    sites = sorted({page.site for page in pages})
    index = {site: i for i, site in enumerate(sites)}
    per_site = np.zeros((len(sites), len(table.column)))
    for page in pages:
        record = by_id.get(page.page_id)
        if record is None or len(record["segments"]) != len(page.segments):
            has = "no record" if record is None else f"a record of {len(record['segments'])} segments"
            raise InputError(
                f"page {page.page_id!r} has {has}",
                expected=f"one record of {len(page.segments)} segments a page",
                remedy="label the very file that is scored",
                rule="record-mismatch",
            )
        per_site[index[page.site]] += table.count(page, record)
    return table, per_site


def f1_of(true: np.ndarray, false_positive: np.ndarray, false_negative: np.ndarray) -> np.ndarray:
    """F1 from counts, elementwise; 1.0 where there is nothing to find and nothing was predicted.

    Args:
        true: Counts of true positives.
        false_positive: Counts of false positives, in the same shape.
        false_negative: Counts of false negatives, in the same shape.
    """
    total = 2 * true + false_positive + false_negative
    return np.where(total > 0, 2 * true / np.maximum(total, 1), 1.0)


def scored_classes(pages: Sequence[Page]) -> tuple[list[str], list[str]]:
    """The roles of segments, and the topics of long stories, that labelled `pages` have: the F1 of any other class
    counts false positives alone."""
    roles = {segment.role for page in pages for segment in page.segments if word_count(segment.text) >= MIN_WORDS}
    topics = {topic for page in pages for kind, topic, _ in _topic_stories(page) if kind == "topic"}
    return [role for role in ROLES if role in roles], sorted(topics)


def _starts(stories: Sequence[int | None]) -> set[int]:
    """The segments that begin a story, by index."""
    return {i for i, story in enumerate(stories) if story is not None and (i == 0 or stories[i - 1] != story)}


def _topic_stories(page: Page) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """The kind, the topic, and `(segment, words)` of each story of a page that has a topic."""
    stories: dict[int, list[tuple[int, int]]] = {}
    for i, segment in enumerate(page.segments):
        if segment.story is not None:
            stories.setdefault(segment.story, []).append((i, word_count(segment.text)))
    for words in stories.values():
        topic = next((t for i, _ in words if (t := page.segments[i].topic) is not None), None)
        if topic is not None:
            yield "topic" if sum(n for _, n in words) >= BODY_WORDS else "topic_teaser", topic, words

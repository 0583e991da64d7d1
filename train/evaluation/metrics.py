"""Scores of predictions against labelled pages, with intervals over sites.

Role, word, text, leak and boundary scores are the referee's (../shared/score_pages.py): segments of at least three
words count for roles; text scores compare 4-gram shingles of the main story as the article-extraction-benchmark does
(mean over pages of precision and of recall, F1 of the means). Everything is computed from counts that add up over
pages, so that the bootstrap over sites (Efron & Tibshirani 1993, chapter 8) resamples sums and never rescores a page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from train.common.errors import InputError
from train.corpus.page import Page
from train.evaluation.bootstrap import intervals_of, resampled
from train.runtime.text import ROLES, word_count

_WORD = re.compile(r"\w+")
MIN_WORDS = 3
BODY_WORDS = 25
"""A related segment of so many words is a related body, which reads like a main story; a story of fewer words is a
teaser, whose headline alone often leaves its topic open: topic scores of teasers are reported apart."""
SHINGLE = 4
KEY_METRICS = {
    "role/macro_f1": "role macro-F1",
    "role/f1/main": "main",
    "role/f1/related": "related",
    "role/main_words_f1": "words F1",
    "text/f1": "text F1",
    "role/related_leak": "leak",
    "story/boundary_f1": "boundary",
}
"""What a table of many models shows, and its headings."""
TOPIC_METRICS = {"topic/macro_f1": "topic macro-F1", "topic/accuracy": "topic accuracy"}
COSTS = {
    "cost/train_s": "training s",
    "cost/segments_per_s": "segments/s",
    "cost/peak_memory_mb": "peak memory MB",
    "size/mb": "model MB",
}
"""Metrics of what a run cost, and their headings."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of one model on one set of pages.

    Args:
        values: Metric name -> value in 0..1.
        intervals: Metric name -> `(low, high)` over sites.
        n_pages: Pages scored.
        n_sites: Sites they come from.
        confidence: Level of the intervals.
    """

    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    n_pages: int
    n_sites: int
    confidence: float

    def metrics(self, part: str) -> dict[str, float]:
        """Contract 7's names: `<part>/<metric>`, and `/low` and `/high` of those with an interval."""
        answer = {f"{part}/{name}": value for name, value in self.values.items()}
        for name, (low, high) in self.intervals.items():
            answer |= {f"{part}/{name}/low": low, f"{part}/{name}/high": high}
        return answer

    def only(self, prefix: str) -> Evaluation:
        """The scores whose names begin so."""
        values = {name: value for name, value in self.values.items() if name.startswith(prefix)}
        return replace(
            self, values=values, intervals={name: self.intervals[name] for name in values if name in self.intervals}
        )

    def to_json(self, **more: Any) -> dict[str, Any]:
        """Contract 5: one flat object; intervals under `intervals`."""
        return {
            **{name: round(value, 6) for name, value in self.values.items()},
            "intervals": {name: [round(low, 6), round(high, 6)] for name, (low, high) in self.intervals.items()},
            "confidence": self.confidence,
            "n_pages": self.n_pages,
            "n_sites": self.n_sites,
            **more,
        }


def evaluate(
    pages: Sequence[Page],
    records: Iterable[Mapping[str, Any]],
    *,
    bootstrap_samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """Scores `predict`'s records against labelled pages.

    Args:
        pages: Gold pages.
        records: One record a page, in any order.
        bootstrap_samples: Resamples of sites; 0 leaves the intervals out.
        confidence: Level of the intervals.
        seed: Seeds the draws of sites.

    Raises:
        InputError: A page has no record, or one with another number of segments.
    """
    columns, per_site = _count_by_site(pages, records)
    values = {name: float(value) for name, value in columns.metrics(per_site.sum(axis=0)).items()}
    intervals: dict[str, tuple[float, float]] = {}
    if bootstrap_samples:
        intervals = intervals_of(columns.metrics(resampled(per_site, bootstrap_samples, seed)), confidence)
    return Evaluation(values, intervals, len(pages), len(per_site), confidence)


def gain(
    pages: Sequence[Page],
    records: Iterable[Mapping[str, Any]],
    other: Iterable[Mapping[str, Any]],
    *,
    bootstrap_samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Evaluation:
    """How much better one model's records are than another's on the same pages: differences of scores, with paired
    intervals.

    Both are resampled by the same sites (paired bootstrap; Berg-Kirkpatrick, Burkett & Klein 2012), so that sites which
    are hard for both do not widen the interval. An interval that holds 0 shows no difference.

    Args:
        pages: Labelled pages.
        records: The records whose scores count positively, one a page, in any order.
        other: The records whose scores are subtracted, one a page, in any order.
        bootstrap_samples: The number of resamples of sites.
        confidence: The level of the intervals.
        seed: Seeds the draws of sites.

    Returns:
        An `Evaluation` whose values, -1..1, and intervals are differences.

    Raises:
        InputError: A page has no record, or one with another number of segments.
    """
    columns, ours = _count_by_site(pages, records)
    _, theirs = _count_by_site(pages, other)

    def difference(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
        left, right = columns.metrics(a), columns.metrics(b)
        return {name: left[name] - right[name] for name in left}

    values = {name: float(value) for name, value in difference(ours.sum(axis=0), theirs.sum(axis=0)).items()}
    intervals = intervals_of(
        difference(*(resampled(counts, bootstrap_samples, seed) for counts in (ours, theirs))), confidence
    )
    return Evaluation(values, intervals, len(pages), len(ours), confidence)


Labelled = tuple[list[Page], list[Mapping[str, Any]]]
"""Pages and their records, in the same order."""


def by_value(pages: Sequence[Page], records: Sequence[Mapping[str, Any]], key: str) -> dict[str, Labelled]:
    """Groups pages and their records by the value of a key of the page.

    Args:
        pages: Labelled pages.
        records: Their records, in the same order.
        key: `lang`, `site`, or a key that came with the corpus.

    Returns:
        Value -> its pages and records, sorted by value; pages without the key are under `none`.
    """
    answer: dict[str, Labelled] = {}
    for page, record in zip(pages, records, strict=True):
        value = getattr(page, key) if key in ("lang", "site") else page.extra.get(key)
        found = answer.setdefault("none" if value is None else str(value), ([], []))
        found[0].append(page)
        found[1].append(record)
    return dict(sorted(answer.items()))


def _count_by_site(pages: Sequence[Page], records: Iterable[Mapping[str, Any]]) -> tuple[_Columns, np.ndarray]:
    """Counts `[sites, columns]`, sites in alphabetical order."""
    if not pages:
        raise InputError(
            "no page to score", expected="at least one labelled page", remedy="check the corpus and its split"
        )
    columns = _Columns(tuple(sorted({s.topic for page in pages for s in page.segments if s.topic is not None})))
    by_id = {record["page_id"]: record for record in records}
    rows = []
    for page in pages:
        record = by_id.get(page.page_id)
        if record is None or len(record["segments"]) != len(page.segments):
            found = "no record" if record is None else f"a record of {len(record['segments'])} segments"
            raise InputError(
                f"page {page.page_id!r} has {found}",
                expected=f"one record of {len(page.segments)} segments a page",
                remedy="label the very file that is scored",
                rule="record-mismatch",
            )
        rows.append(columns.count(page, record))
    counts = np.array(rows)
    sites = sorted({page.site for page in pages})
    index = {site: i for i, site in enumerate(sites)}
    per_site = np.zeros((len(sites), counts.shape[1]))
    np.add.at(per_site, [index[page.site] for page in pages], counts)
    return columns, per_site


def f1_of(true: np.ndarray, false_positive: np.ndarray, false_negative: np.ndarray) -> np.ndarray:
    """F1 from counts, elementwise; 1.0 where there is nothing to find and nothing was predicted.

    Args:
        true: Counts of true positives.
        false_positive: Counts of false positives, in the same shape.
        false_negative: Counts of false negatives, in the same shape.
    """
    total = 2 * true + false_positive + false_negative
    return np.where(total > 0, 2 * true / np.maximum(total, 1), 1.0)


_TOPIC_KINDS = ("topic", "topic_teaser")


class _Columns:
    """Countable events of a page, each a column; and the metrics made of their sums.

    Args:
        topics: Those that the gold has; without any, topics are not scored.
    """

    def __init__(self, topics: tuple[str, ...]) -> None:
        names = [
            f"{kind}/{role}/{event}" for kind in ("role", "body") for role in ROLES for event in ("tp", "fp", "fn")
        ]
        names += [f"words/{e}" for e in ("tp", "fp", "fn")] + [f"boundary/{e}" for e in ("tp", "fp", "fn", "pages")]
        names += ["leak/n", "leak/hit", *TEXT_EVENTS]
        for kind in _TOPIC_KINDS:
            names += [f"{kind}/{topic}/{event}" for topic in topics for event in ("tp", "fp", "fn")] + [
                f"{kind}/n",
                f"{kind}/right",
            ]
        self.topics = topics
        self.at = {name: i for i, name in enumerate(names)}

    def count(self, page: Page, record: Mapping[str, Any]) -> np.ndarray:
        row = np.zeros(len(self.at))
        main_gold: list[str] = []
        main_predicted: list[str] = []
        for segment, answer in zip(page.segments, record["segments"], strict=True):
            gold, predicted, n = segment.role, answer["role"], word_count(segment.text)
            if gold == "main":
                main_gold.append(segment.text)
            if predicted == "main":
                main_predicted.append(segment.text)
            kinds = ("role", "body") if n >= BODY_WORDS else ("role",) if n >= MIN_WORDS else ()
            for kind in kinds:
                if gold == predicted:
                    row[self.at[f"{kind}/{gold}/tp"]] += 1
                else:
                    row[self.at[f"{kind}/{gold}/fn"]] += 1
                    row[self.at[f"{kind}/{predicted}/fp"]] += 1
            if n >= MIN_WORDS and gold == "related":
                row[self.at["leak/n"]] += 1
                row[self.at["leak/hit"]] += predicted == "main"
            if "main" in (gold, predicted):
                event = "tp" if gold == predicted else "fn" if gold == "main" else "fp"
                row[self.at[f"words/{event}"]] += n
        self._count_boundaries(row, page, record)
        self._count_text(row, main_gold, main_predicted)
        if self.topics:
            self._count_topics(row, page, record)
        return row

    def _count_boundaries(self, row: np.ndarray, page: Page, record: Mapping[str, Any]) -> None:
        if any(s.story not in (None, 0) for s in page.segments):
            gold = _starts([s.story for s in page.segments])
            predicted = _starts([s["story"] for s in record["segments"]])
            row[self.at["boundary/tp"]] += len(gold & predicted)
            row[self.at["boundary/fp"]] += len(predicted - gold)
            row[self.at["boundary/fn"]] += len(gold - predicted)
            row[self.at["boundary/pages"]] += 1

    def _count_text(self, row: np.ndarray, gold: list[str], predicted: list[str]) -> None:
        for name, value in zip(TEXT_EVENTS, text_events("\n".join(gold), "\n".join(predicted)), strict=True):
            row[self.at[name]] += value

    def _count_topics(self, row: np.ndarray, page: Page, record: Mapping[str, Any]) -> None:
        topic_of = {story["story"]: story["topic"] for story in record["stories"]}
        for kind, topic, words in _topic_stories(page):
            # The predicted story that covers most of the gold story's words answers for it.
            cover: Counter[int] = Counter()
            for i, n in words:
                predicted = record["segments"][i]["story"]
                if predicted is not None:
                    cover[predicted] += n + 1
            answer = topic_of.get(cover.most_common(1)[0][0]) if cover else None
            row[self.at[f"{kind}/n"]] += 1
            row[self.at[f"{kind}/right"]] += answer == topic
            if answer == topic:
                row[self.at[f"{kind}/{topic}/tp"]] += 1
            else:
                row[self.at[f"{kind}/{topic}/fn"]] += 1
                # A topic that no page has is scored nowhere.
                if f"{kind}/{answer}/fp" in self.at:
                    row[self.at[f"{kind}/{answer}/fp"]] += 1

    def metrics(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics from counts `[…, columns]`."""

        def c(name: str) -> np.ndarray:
            return np.asarray(counts[..., self.at[name]])

        def f1(prefix: str) -> np.ndarray:
            return f1_of(c(f"{prefix}/tp"), c(f"{prefix}/fp"), c(f"{prefix}/fn"))

        roles = {role: f1(f"role/{role}") for role in ROLES}
        answer = {"role/macro_f1": np.mean(list(roles.values()), axis=0)}
        answer |= {f"role/f1/{role}": value for role, value in roles.items()}
        answer["role/f1/related_body"] = f1("body/related")
        answer["role/main_words_f1"] = f1("words")
        answer["role/related_leak"] = c("leak/hit") / np.maximum(c("leak/n"), 1)
        answer |= text_scores(np.stack([c(name) for name in TEXT_EVENTS], axis=-1))
        answer["story/boundary_f1"] = f1("boundary")
        if self.topics:
            for kind in _TOPIC_KINDS:
                # A topic that no story of this kind (of this resample) has is no class of its own: its false answers
                # cost the others.
                has = np.stack([c(f"{kind}/{topic}/tp") + c(f"{kind}/{topic}/fn") > 0 for topic in self.topics])
                found = np.stack([f1(f"{kind}/{topic}") for topic in self.topics])
                answer[f"{kind}/macro_f1"] = np.where(has, found, 0.0).sum(axis=0) / np.maximum(has.sum(axis=0), 1)
                answer[f"{kind}/accuracy"] = c(f"{kind}/right") / np.maximum(c(f"{kind}/n"), 1)
            answer |= {f"topic/f1/{topic}": f1(f"topic/{topic}") for topic in self.topics}
        return answer


def scored_classes(pages: Sequence[Page]) -> tuple[list[str], list[str]]:
    """The roles of segments, and the topics of long stories, that labelled pages have: F1 of others tells of false
    answers alone."""
    roles = {segment.role for page in pages for segment in page.segments if word_count(segment.text) >= MIN_WORDS}
    topics = {topic for page in pages for kind, topic, _ in _topic_stories(page) if kind == "topic"}
    return [role for role in ROLES if role in roles], sorted(topics)


def _starts(stories: Sequence[int | None]) -> set[int]:
    return {i for i, story in enumerate(stories) if story is not None and (i == 0 or stories[i - 1] != story)}


TEXT_EVENTS = ("text/p", "text/p/n", "text/r", "text/r/n")


def text_events(gold: str, predicted: str) -> tuple[float, float, float, float]:
    """Precision and recall of the shingles of a page's main text.

    Args:
        gold: The labelled main text.
        predicted: The predicted main text.

    Returns:
        Precision, 1.0 if there is predicted text (else 0.0), recall, 1.0 if there is labelled text (else 0.0): sums of
        these over pages give `text_scores`.
    """
    a, b = _shingles(gold), _shingles(predicted)
    shared = (a & b).total()
    return shared / max(b.total(), 1), float(bool(b)), shared / max(a.total(), 1), float(bool(a))


def text_scores(events: np.ndarray) -> dict[str, np.ndarray]:
    """Main text scores from sums of `text_events` `[…, 4]`: mean precision, mean recall, F1 of the means."""
    precision, recall = (events[..., i] / np.maximum(events[..., i + 1], 1) for i in (0, 2))
    f1 = np.where(precision + recall > 0, 2 * precision * recall / np.maximum(precision + recall, 1e-12), 0.0)
    return {"text/precision": precision, "text/recall": recall, "text/f1": f1}


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text)]
    return (
        Counter(tuple(words[i : i + SHINGLE]) for i in range(max(len(words) - SHINGLE + 1, 1))) if words else Counter()
    )


def _stories(page: Page) -> dict[int, list[tuple[int, int]]]:
    answer: dict[int, list[tuple[int, int]]] = {}
    for i, segment in enumerate(page.segments):
        if segment.story is not None:
            answer.setdefault(segment.story, []).append((i, word_count(segment.text)))
    return answer


def _topic_stories(page: Page) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """The kind, the topic and the words of a page's stories that have a topic (`_stories`)."""
    for story, words in _stories(page).items():
        topic = next((s.topic for s in page.segments if s.story == story and s.topic is not None), None)
        if topic is not None:
            yield "topic" if sum(n for _, n in words) >= BODY_WORDS else "topic_teaser", topic, words


def without(
    pages: Sequence[Page], records: Iterable[Mapping[str, Any]], left_out: Mapping[str, Iterable[int]]
) -> tuple[list[Page], list[dict[str, Any]]]:
    """Pages and records without some segments, to score what remains.

    Args:
        pages: Gold pages.
        records: One record a page, in any order.
        left_out: Page id -> indices of segments to leave out; a page with none left is left out.
    """
    by_id = {record["page_id"]: record for record in records}
    kept_pages, kept_records = [], []
    for page in pages:
        gone = set(left_out.get(page.page_id, ()))
        places = [i for i in range(len(page.segments)) if i not in gone]
        if not places:
            continue
        record = by_id[page.page_id]
        new = {old: i for i, old in enumerate(places)}
        stories = [
            {**story, "segments": [new[i] for i in story["segments"] if i in new]} for story in record["stories"]
        ]
        kept_pages.append(page.with_segments(tuple(page.segments[i] for i in places)))
        kept_records.append(
            {
                **record,
                "segments": [record["segments"][i] for i in places],
                "stories": [story for story in stories if story["segments"]],
            }
        )
    return kept_pages, kept_records

"""The labeler: a loaded bundle; page text in, labelled segments and stories out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .calibration import Calibration
from .decoding import TAGS, Decoder, group_segments, role_scores, softmax
from .manifest import BundleError, read_manifest, reading
from .scorer import Scorer, StoryScorer
from .text import ROLES, TOPIC_WORD_LIMIT, clean, spaced_words, split_text

BATCH_PAGES = 32
SOFT_HYPHEN = "\u00ad"
PROBE = ("A headline", "", f"A paragraph {'that goes on and on ' * 200}", "Related articles", "©")
"""The page that is read when a bundle is loaded: no words, few and many."""


@dataclass(frozen=True)
class Scores:
    """A family's reading of one page, before and after decoding.

    Args:
        local: `[n, 4]` state probabilities of the segments by themselves.
        posterior: `[n, 4]` the same after reading the page as a chain.
        topic_logits: `[n, topics]` per segment, or None where topics are read from whole stories.
    """

    local: np.ndarray
    posterior: np.ndarray
    topic_logits: np.ndarray | None


@dataclass(frozen=True)
class PagePrediction:
    """What a model reads on one page, before it is calibrated.

    Args:
        page_id: The page's id.
        texts: Its segments' texts, as given.
        scores: The scores of its segments.
        roles: Role index of each segment.
        stories: Story number of each segment, or None.
        topics: Story -> topic scores; empty without topics.
    """

    page_id: str
    texts: list[str]
    scores: Scores
    roles: np.ndarray
    stories: list[int | None]
    topics: dict[int, np.ndarray]


@dataclass
class Labeler:
    """A model ready to label pages.

    Args:
        scorer: The family at work.
        decoder: The page decoder.
        name: Model name.
        version: Names the content: the first 12 hex digits of a sha256 over the bundle's files and settings.
        family: `baseline` or `encoder`.
        topics: Topic names; empty without topics.
        calibration: Turns scores into probabilities, and says when to be unsure.
        topic_word_limit: A segment counts for its story's topic by its words, so many at most; 1: all segments count
            alike.
    """

    scorer: Scorer
    decoder: Decoder
    name: str
    version: str
    family: str
    topics: tuple[str, ...]
    calibration: Calibration = field(default_factory=Calibration)
    topic_word_limit: int = TOPIC_WORD_LIMIT

    @classmethod
    def load(
        cls, folder: Path | str, *, threads: int | None = None, precision: str | None = None, sha256: str | None = None
    ) -> Labeler:
        """Loads a bundle after checking its schema, label order, the range of its values and the sha256 of every file.

        Reads data alone: no code of the bundle is imported.

        Args:
            folder: The bundle's folder.
            threads: The number of threads of an encoder; None takes the cores at hand.
            precision: `float32` passes over the int8 weights that a bundle may have; answers then differ a little from
                the golden ones.
            sha256: The sha256 of its `bundle.json`, as `make export` prints it. The hashes within a bundle tell an
                accident; this one tells whether it is the bundle that was meant. None takes any.

        Raises:
            BundleError: Something is missing, changed, not listed, outside the folder, out of its range, of another
                version, or cannot be read.
        """
        folder = Path(folder)
        manifest = read_manifest(folder, sha256=sha256)
        with reading(folder):
            scorer = _load_reader(folder, manifest, threads, exact=precision == "float32")
            decoder = Decoder.from_json(manifest["decoder"])
            calibration = Calibration.from_json(manifest.get("calibration"))
            topics = tuple(manifest["topics"])
            known = manifest.get("topic_word_limit", 1)  # older bundles of this schema do not say
            labeler = cls(
                scorer, decoder, manifest["name"], manifest["version"], manifest["family"], topics, calibration, known
            )
            labeler.require_sound(folder)
        return labeler

    def require_sound(self, folder: Path) -> None:
        """Reads a small page, so that weights that fit neither each other nor the settings are found when they are
        loaded.

        Args:
            folder: The bundle's folder.

        Raises:
            BundleError: An answer is no probability.
        """
        (prediction,) = self.read([("", PROBE)])
        told = [prediction.scores.local, prediction.scores.posterior]
        if self.topics:
            told += [rows[0][None] for rows in self.story_topics([PROBE], [[0] * len(PROBE)])]
        shapes = [(len(PROBE), len(TAGS))] * 2 + [(1, len(self.topics))] * (len(told) - 2)
        for rows, shape in zip(told, shapes, strict=True):
            if rows.shape != shape or not (np.abs(rows.sum(axis=1) - 1) < 1e-3).all() or (rows < 0).any():
                raise BundleError(f"{folder} does not answer with probabilities. Do not use this bundle.")

    def score(self, pages: Sequence[Sequence[str]]) -> list[Scores]:
        """Scores of some pages, given as raw segment texts."""
        return self._scores(*self.scorer.score_segments(_cleaned(pages)))

    def _scores(self, local: Sequence[np.ndarray], topics: Sequence[np.ndarray] | None) -> list[Scores]:
        return [
            Scores(states, self.decoder.posterior(states), None if topics is None else topics[i])
            for i, states in enumerate(local)
        ]

    def label(self, pages: Iterable[tuple[str, Sequence[str]]], *, unsure: bool = False) -> Iterator[dict[str, Any]]:
        """Labels pages, a batch at a time, in the order they come.

        Args:
            pages: `(page_id, segment texts)`.
            unsure: Adds to each segment whether its confidence is below the threshold of its role.

        Yields:
            The record of each page.
        """
        for prediction in self.read(pages):
            yield self.record(prediction, unsure=unsure)

    def label_text(self, text: str, page_id: str = "page-0") -> dict[str, Any]:
        """The record of a page given as plain text.

        Args:
            text: The page, a segment a line; empty lines are no segments.
            page_id: The page's id in the record.
        """
        return next(self.label([(page_id, split_text(text))]))

    def read(self, pages: Iterable[tuple[str, Sequence[str]]]) -> Iterator[PagePrediction]:
        """Reads pages, a batch at a time, in the order they come; see `label`."""
        iterator = iter(pages)
        while batch := list(islice(iterator, BATCH_PAGES)):
            cleaned = _cleaned([page for _, page in batch])
            # What shows nothing is boilerplate, and the rest of the page reads as if it were not there.
            shown = [[i for i, text in enumerate(page) if text.strip(SOFT_HYPHEN)] for page in cleaned]
            parts = [(page_id, [page[i] for i in where]) for (page_id, page), where in zip(batch, shown, strict=True)]
            visible = [[page[i] for i in where] for page, where in zip(cleaned, shown, strict=True)]
            predictions = self._decode_batch(parts, visible, *self.scorer.score_segments(visible))
            for (_, page), where, prediction in zip(batch, shown, predictions, strict=True):
                yield prediction if len(where) == len(page) else _with_blanks(prediction, list(page), where)

    def decode(
        self,
        pages: Sequence[tuple[str, Sequence[str]]],
        states: Sequence[np.ndarray],
        topic_logits: Sequence[np.ndarray] | None,
    ) -> Iterator[PagePrediction]:
        """Reads pages whose segments are scored already, as `read` does, without scoring them again.

        Args:
            pages: `(page_id, segment texts)`.
            states: State probabilities `[n, 4]` of each page, as `reader.states` answers for its cleaned segments.
            topic_logits: Topic logits `[n, topics]` of each page, or None where topics are read from whole stories.

        Yields:
            What the model reads on each page, in the order of `pages`.
        """
        for start in range(0, len(pages), BATCH_PAGES):
            part = slice(start, start + BATCH_PAGES)
            cleaned = _cleaned([page for _, page in pages[part]])
            logits = None if topic_logits is None else topic_logits[part]
            yield from self._decode_batch(pages[part], cleaned, states[part], logits)

    def _decode_batch(
        self,
        batch: Sequence[tuple[str, Sequence[str]]],
        cleaned: list[list[str]],
        states: Sequence[np.ndarray],
        topic_logits: Sequence[np.ndarray] | None,
    ) -> Iterator[PagePrediction]:
        scores = self._scores(states, topic_logits)
        stories = [group_segments(s.posterior) for s in scores]
        topics = self._topics(cleaned, scores, [numbers for _, numbers in stories])
        for (page_id, page), score, (roles, numbers), topic in zip(batch, scores, stories, topics, strict=True):
            yield PagePrediction(page_id, list(page), score, roles, numbers, topic)

    def story_topics(
        self, pages: Sequence[Sequence[str]], stories: Sequence[Sequence[int | None]]
    ) -> list[dict[int, np.ndarray]]:
        """Topic probabilities of given stories, page by page; empty for a model without topics.

        Args:
            pages: Raw segment texts.
            stories: The story each segment is of, or None.
        """
        cleaned = _cleaned(pages)
        scores = [] if isinstance(self.scorer, StoryScorer) else self._scores(*self.scorer.score_segments(cleaned))
        by_page = self._topics(cleaned, scores, [list(numbers) for numbers in stories])
        return [{story: self.calibration.topics(row) for story, row in page.items()} for page in by_page]

    def _topics(
        self, pages: list[list[str]], scores: list[Scores], stories: list[list[int | None]]
    ) -> list[dict[int, np.ndarray]]:
        """Topic probabilities of every story, page by page."""
        if not self.topics:
            return [{} for _ in pages]
        segments_of = [_segments_of(page_stories) for page_stories in stories]
        if isinstance(self.scorer, StoryScorer):
            whole = zip(pages, segments_of, strict=True)
            texts = ["\n".join(page[i] for i in where) for page, by_story in whole for where in by_story.values()]
            rows = iter(self.scorer.story_topics(texts))
            return [{story: next(rows) for story in by_story} for by_story in segments_of]
        topics = []
        for page, score, by_story in zip(pages, scores, segments_of, strict=True):
            logits, weights = np.asarray(score.topic_logits), self._topic_weights(page)
            means = {s: np.average(logits[where], axis=0, weights=weights[where]) for s, where in by_story.items()}
            topics.append({story: softmax(mean) for story, mean in means.items()})
        return topics

    def _topic_weights(self, page: list[str]) -> np.ndarray:
        """How much each segment says of its story's topic, `[n]`."""
        return np.clip([spaced_words(text) for text in page], 1, self.topic_word_limit)

    def record(self, prediction: PagePrediction, *, unsure: bool = False) -> dict[str, Any]:
        """The record of a page.

        Args:
            prediction: What the model makes of the page, as `read` and `decode` yield it.
            unsure: Adds to each segment whether its confidence is below the threshold of its role; False by default.
        """
        by_role = self.calibration.roles(role_scores(prediction.scores.posterior))
        segments = []
        for text, role, row, story in zip(
            prediction.texts, prediction.roles.tolist(), by_role.round(6).tolist(), prediction.stories, strict=True
        ):
            name, confidence = ROLES[role], row[role]
            scores = dict(zip(ROLES, row, strict=True))
            segment = {"text": text, "role": name, "confidence": confidence, "scores": scores, "story": story}
            segments.append(segment | {"unsure": self.calibration.unsure(name, confidence)} if unsure else segment)
        story_records = []
        for story, where in sorted(_segments_of(prediction.stories).items()):
            topic = self.calibration.topics(prediction.topics[story]) if story in prediction.topics else None
            sure = np.mean([by_role[i, prediction.roles[i]] for i in where]) if topic is None else topic.max()
            story_records.append(
                {
                    "story": story,
                    "role": "related" if story else "main",
                    "topic": None if topic is None else self.topics[int(topic.argmax())],
                    "confidence": round(float(sure), 6),
                    "segments": where,
                }
            )
        model = {"name": self.name, "version": self.version, "family": self.family}
        return {"page_id": prediction.page_id, "segments": segments, "stories": story_records, "model": model}


def _with_blanks(prediction: PagePrediction, texts: list[str], where: Sequence[int]) -> PagePrediction:
    """A prediction of a page's visible segments as one of the whole page.

    Args:
        prediction: What is read on the visible segments.
        texts: All segments of the page.
        where: The places of the visible ones.
    """
    n, scores = len(texts), prediction.scores
    sure = np.eye(len(TAGS))[TAGS.index("boilerplate")]

    def whole(rows: np.ndarray, blank: np.ndarray) -> np.ndarray:
        filled = np.repeat(blank[None], n, axis=0)
        filled[where] = rows
        return filled

    logits = scores.topic_logits
    roles = np.full(n, ROLES.index("boilerplate"))
    roles[where] = prediction.roles
    stories: list[int | None] = [None] * n
    for i, story in zip(where, prediction.stories, strict=True):
        stories[i] = story
    filled = Scores(
        whole(scores.local, sure),
        whole(scores.posterior, sure),
        None if logits is None else whole(logits, np.zeros(logits.shape[1])),
    )
    return PagePrediction(prediction.page_id, texts, filled, roles, stories, prediction.topics)


def _cleaned(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    if any(isinstance(page, str) for page in pages):
        raise TypeError("a page's segments are one string; give a list of strings, or plain text to label_text")
    return [[clean(text) for text in page] for page in pages]


def _load_reader(folder: Path, manifest: dict[str, Any], threads: int | None, *, exact: bool) -> Scorer:
    # Each family needs packages that the others' users have not installed.
    if manifest["family"] == "baseline":
        from .baseline import Baseline

        return Baseline.load(folder, manifest)
    from .encoder import Encoder

    return Encoder.load(folder, manifest, threads=threads, int8=bool(manifest.get("int8")) and not exact)


def _segments_of(stories: Sequence[int | None]) -> dict[int, list[int]]:
    """Story -> its segments."""
    segments: dict[int, list[int]] = {}
    for i, story in enumerate(stories):
        if story is not None:
            segments.setdefault(story, []).append(i)
    return segments

"""The labeler: a loaded bundle; page text in, labelled segments and stories out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from .calibration import Calibration
from .decoding import Decoder, read_stories, role_scores, softmax
from .reading import ROLES, TOPIC_WORD_LIMIT, clean, spaced_words, split_text

SCHEMA = 3
MANIFEST = "bundle.json"
BATCH_PAGES = 32
FamilyName = Literal["baseline", "encoder"]
FAMILIES: tuple[FamilyName, ...] = get_args(FamilyName)
"""Kinds of models."""
GONE = {"ensemble": "an ensemble", "hierarchical": "a hierarchical encoder"}
"""Families of older versions, whose files are not read any more -> what to call them."""
SILENT = ("version", "documents")
"""Of the manifest, what changes no answer; the rest names the version."""


class Reader(Protocol):
    """A family at work."""

    topics: tuple[str, ...]

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """State probabilities `[n, 4]` page by page of cleaned segments; topic logits `[n, topics]`, or None."""
        ...


@runtime_checkable
class StoryReader(Reader, Protocol):
    """A family that reads topics from whole stories, not with the segments' states."""

    def story_topics(self, stories: Sequence[str]) -> np.ndarray:
        """Topic probabilities `[stories, topics]` of whole stories' texts."""
        ...


class BundleError(ValueError):
    """A bundle that must not be loaded; the message says why and what to do."""


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
class Reading:
    """What a model reads on one page, before it is calibrated.

    Args:
        page_id: The page.
        texts: Its segments.
        scores: Of its segments.
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
        reader: The family at work.
        decoder: The page decoder.
        name: Model name.
        version: Names the content: the first 12 hex digits of a sha256 over the bundle's files and settings.
        family: `baseline` or `encoder`.
        topics: Topic names; empty without topics.
        calibration: Turns scores into probabilities, and says when to be unsure.
        topic_word_limit: A segment's say in its story's topic: its words, so many at most; 1: all segments count alike.
    """

    reader: Reader
    decoder: Decoder
    name: str
    version: str
    family: str
    topics: tuple[str, ...]
    calibration: Calibration = field(default_factory=Calibration)
    topic_word_limit: int = TOPIC_WORD_LIMIT

    @classmethod
    def load(cls, folder: Path | str, *, threads: int | None = None, precision: str | None = None) -> Labeler:
        """Loads a bundle after checking its schema, label order and the sha256 of every file.

        Args:
            folder: The bundle.
            threads: Of an encoder; the cores at hand by default.
            precision: `float32` passes over the int8 weights that a bundle may have; answers then differ a little from the golden ones.

        Raises:
            BundleError: Something is missing, changed, outside the folder or of another version.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        reader = _load_reader(folder, manifest, threads, exact=precision == "float32")
        decoder = Decoder.from_json(manifest["decoder"])
        calibration = Calibration.from_json(manifest.get("calibration"))
        topics = tuple(manifest["topics"])
        known = manifest.get("topic_word_limit", 1)  # older bundles of this schema do not say
        return cls(reader, decoder, manifest["name"], manifest["version"], manifest["family"], topics, calibration, known)

    def score(self, pages: Sequence[Sequence[str]]) -> list[Scores]:
        """Scores of some pages, given as raw segment texts."""
        return self._score(_cleaned(pages))

    def _score(self, cleaned: list[list[str]]) -> list[Scores]:
        local, topics = self.reader.states(cleaned)
        return [Scores(states, self.decoder.posterior(states), None if topics is None else topics[i]) for i, states in enumerate(local)]

    def label(self, pages: Iterable[tuple[str, Sequence[str]]], *, unsure: bool = False) -> Iterator[dict[str, Any]]:
        """Labels pages, a batch at a time, in the order they come.

        Args:
            pages: `(page_id, segment texts)`.
            unsure: Adds to each segment whether its confidence is below the threshold of its role.

        Yields:
            The contract's record of each page.
        """
        for reading in self.read(pages):
            yield self._record(reading, unsure)

    def label_text(self, text: str, page_id: str = "page-0") -> dict[str, Any]:
        """The record of a page given as plain text, a segment a line; empty lines are no segments."""
        return next(self.label([(page_id, split_text(text))]))

    def read(self, pages: Iterable[tuple[str, Sequence[str]]]) -> Iterator[Reading]:
        """Reads pages, a batch at a time, in the order they come; see `label`."""
        iterator = iter(pages)
        while batch := list(islice(iterator, BATCH_PAGES)):
            cleaned = _cleaned([page for _, page in batch])
            texts = [list(page) for _, page in batch]
            scores = self._score(cleaned)
            stories = [read_stories(s.posterior) for s in scores]
            topics = self._topics(cleaned, scores, [numbers for _, numbers in stories])
            for (page_id, _), page, score, (roles, numbers), topic in zip(batch, texts, scores, stories, topics, strict=True):
                yield Reading(page_id, page, score, roles, numbers, topic)

    def story_topics(self, pages: Sequence[Sequence[str]], stories: Sequence[Sequence[int | None]]) -> list[dict[int, np.ndarray]]:
        """Topic probabilities of given stories, page by page; empty for a model without topics.

        Args:
            pages: Raw segment texts.
            stories: The story each segment is of, or None.
        """
        cleaned = _cleaned(pages)
        scores = [] if isinstance(self.reader, StoryReader) else self._score(cleaned)
        found = self._topics(cleaned, scores, [list(numbers) for numbers in stories])
        return [{story: self.calibration.topics(row) for story, row in page.items()} for page in found]

    def _topics(self, pages: list[list[str]], scores: list[Scores], stories: list[list[int | None]]) -> list[dict[int, np.ndarray]]:
        """Topic probabilities of every story, page by page."""
        if not self.topics:
            return [{} for _ in pages]
        segments_of = [_segments_of(page_stories) for page_stories in stories]
        if isinstance(self.reader, StoryReader):
            whole = zip(pages, segments_of, strict=True)
            texts = ["\n".join(page[i] for i in where) for page, page_stories in whole for where in page_stories.values()]
            rows = iter(self.reader.story_topics(texts))
            return [{story: next(rows) for story in page_stories} for page_stories in segments_of]
        return [
            {story: softmax(np.average(np.asarray(s.topic_logits)[where], axis=0, weights=say[where])) for story, where in page.items()}
            for s, page, say in zip(scores, segments_of, map(self._say, pages), strict=True)
        ]

    def _say(self, page: list[str]) -> np.ndarray:
        """How much each segment says of its story's topic, `[n]`."""
        return np.clip([spaced_words(text) for text in page], 1, self.topic_word_limit)

    def _record(self, reading: Reading, unsure: bool) -> dict[str, Any]:
        by_role = self.calibration.roles(role_scores(reading.scores.posterior))
        segments = []
        for text, role, row, story in zip(reading.texts, reading.roles.tolist(), by_role.round(6).tolist(), reading.stories, strict=True):
            name, confidence = ROLES[role], row[role]
            scores = dict(zip(ROLES, row, strict=True))
            segment = {"text": text, "role": name, "confidence": confidence, "scores": scores, "story": story}
            segments.append(segment | {"unsure": self.calibration.unsure(name, confidence)} if unsure else segment)
        answers = []
        for story, where in sorted(_segments_of(reading.stories).items()):
            topic = self.calibration.topics(reading.topics[story]) if story in reading.topics else None
            sure = np.mean([by_role[i, reading.roles[i]] for i in where]) if topic is None else topic.max()
            answers.append(
                {
                    "story": story,
                    "role": "related" if story else "main",
                    "topic": None if topic is None else self.topics[int(topic.argmax())],
                    "confidence": round(float(sure), 6),
                    "segments": where,
                }
            )
        model = {"name": self.name, "version": self.version, "family": self.family}
        return {"page_id": reading.page_id, "segments": segments, "stories": answers, "model": model}


def _cleaned(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    if any(isinstance(page, str) for page in pages):
        raise TypeError("a page's segments are one string; give a list of strings, or plain text to label_text")
    return [[clean(text) for text in page] for page in pages]


def _load_reader(folder: Path, manifest: dict[str, Any], threads: int | None, *, exact: bool) -> Reader:
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


def read_manifest(folder: Path) -> dict[str, Any]:
    """A bundle's manifest, once everything it says has been found true.

    Raises:
        BundleError: See `Labeler.load`.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST}. Train with `make train` or export with `make export` first.")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        schema, roles, family, files = manifest["schema"], manifest["roles"], manifest["family"], dict(manifest["files"])
        documents = dict(manifest.get("documents", {}))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{path} is not a bundle manifest ({error!r}). Export the model again.") from None
    if schema != SCHEMA:
        raise BundleError(f"{path} has schema {schema}, this runtime reads schema {SCHEMA}. Export the model again with this version.")
    if roles != list(ROLES):
        raise BundleError(f"{path} orders roles as {roles}, this runtime as {list(ROLES)}. Export the model again.")
    if manifest.get("version") != version_of(manifest):
        raise BundleError(f"{path} was changed after export: its version does not match its content. Export the model again.")
    _require_family(path, family, manifest)
    if files.keys() & documents.keys():
        raise BundleError(f"{path} lists {min(files.keys() & documents.keys())!r} twice. Do not use this bundle.")
    for name, digest in {**files, **documents}.items():
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or name.startswith("/") or not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise BundleError(f"{path} lists {name!r}, which lies outside the bundle. Do not use this bundle.")
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing. Copy the bundle again.")
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise BundleError(f"{folder / name} is not the file that was exported (sha256 differs). Copy the bundle again.")
    return manifest


def _require_family(path: Path, family: object, manifest: dict[str, Any]) -> None:
    """Raises a BundleError where there is no such family, or none any more: older versions had others, and `encoder` was another model."""
    gone = "the packed encoder" if family == "encoder" and "windows" in manifest else GONE.get(str(family))
    if gone is not None:
        raise BundleError(
            f"{path} is of {gone}, which is gone. Train anew: `make train CONFIG=configs/pages-encoder.yaml SET=corpus.path=…`, then `make export`."
        )
    if family not in FAMILIES:
        raise BundleError(
            f"{path} is of family {family!r}, this runtime reads {' and '.join(FAMILIES)}. Load it with the version that made it."
        )


def version_of(manifest: dict[str, Any]) -> str:
    """The name of what answers: the first 12 hex digits of the sha256 of the manifest without its version and documents."""
    body = {key: value for key, value in manifest.items() if key not in SILENT}
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode("utf-8", "backslashreplace")).hexdigest()[:12]

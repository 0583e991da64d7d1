"""Records of a model that is wrong now and then."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.common.files import sha256_json
from train.config.schema import Config
from train.corpus.page import Page
from train.runtime.text import ROLES

STORIES = {"main": 0, "related": 1}


def record_of(
    page_id: str,
    texts: Sequence[str],
    roles: Sequence[str],
    confidences: Sequence[float],
    *,
    topic: str | None = None,
    **model: str,
) -> dict[str, Any]:
    """A record with these roles: all main segments are story 0, all related ones story 1, both of one topic.

    Args:
        page_id: Of the page.
        texts: Of its segments.
        roles: One a segment.
        confidences: The probability of each of these roles; the other two share the rest.
        topic: Of both stories.
        model: What the record says of its model, beside a name, a version and a family of one letter.
    """
    segments: list[dict[str, Any]] = []
    for text, role, confidence in zip(texts, roles, confidences, strict=True):
        scores = {r: confidence if r == role else (1 - confidence) / 2 for r in ROLES}
        segments.append(
            {"text": text, "role": role, "confidence": confidence, "scores": scores, "story": STORIES.get(role)}
        )
    of_story = {role: [i for i, segment in enumerate(segments) if segment["role"] == role] for role in STORIES}
    stories = [
        {"story": STORIES[role], "role": role, "topic": topic, "confidence": 0.7, "segments": found}
        for role, found in of_story.items()
        if found
    ]
    return {
        "page_id": page_id,
        "segments": segments,
        "stories": stories,
        "model": {"name": "n", "version": "v", "family": "f", **model},
    }


def answered(pages: Sequence[Page], *, wrong: float = 0.2, seed: int = 0) -> list[dict[str, Any]]:
    """Records that are right but for a share of the segments; those of the first site are wrong twice as often."""
    rng = random.Random(seed)
    records = []
    for page in pages:
        roles, confidences = [], []
        for segment in page.segments:
            miss = rng.random() < wrong * (2 if page.site == pages[0].site else 1)
            roles.append(rng.choice([r for r in ROLES if r != segment.role]) if miss else str(segment.role))
            confidences.append(rng.uniform(0.4, 0.7) if miss else rng.uniform(0.6, 1))
        records.append(record_of(page.page_id, page.texts, roles, confidences, topic="sport"))
    return records


class StubLabeler:
    """A labeler that nobody trained: a role by the words of a segment, the same for the same text.

    Args:
        version: What it says it is.
    """

    family, name, topics = "baseline", "stub", ("sport",)

    def __init__(self, version: str = "v1") -> None:
        self.version = version

    def label(self, pages: Iterable[tuple[str, Sequence[str]]]) -> Iterator[dict[str, Any]]:
        """Records of pages, in the order they come."""
        for page_id, texts in pages:
            roles = [ROLES[len(text.split()) % len(ROLES)] for text in texts]
            yield record_of(
                page_id, texts, roles, [0.75] * len(texts), name=self.name, version=self.version, family=self.family
            )


def guessed(config: Config, parts: Mapping[str, Sequence[Page]], texts: object, work: Path) -> list[dict[str, Any]]:
    """In place of `train.training.crossval.label_unseen`: records as good as the config's settings, by their hash, say;
    nothing is trained."""
    settings = {name: value for name, value in config.flat().items() if name.startswith(("baseline", "seed"))}
    luck = int(sha256_json({name: str(value) for name, value in settings.items()})[:6], 16) / 16**6
    return answered(parts["test"], wrong=0.05 + 0.3 * luck, seed=config.seed)

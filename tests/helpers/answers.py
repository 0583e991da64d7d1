"""Records of a model that is wrong now and then."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.config import Config
from train.corpus.page import Page
from train.files import sha256_json
from train.runtime.reading import ROLES


def answered(pages: Sequence[Page], *, wrong: float = 0.2, seed: int = 0) -> list[dict[str, Any]]:
    """Records that are right but for a share of the segments; those of the first site are wrong twice as often."""
    rng = random.Random(seed)
    records = []
    for page in pages:
        segments = []
        for segment in page.segments:
            miss = rng.random() < wrong * (2 if page.site == pages[0].site else 1)
            role = rng.choice([r for r in ROLES if r != segment.role]) if miss else str(segment.role)
            sure = rng.uniform(0.4, 0.7) if miss else rng.uniform(0.6, 1)
            scores = {r: sure if r == role else (1 - sure) / 2 for r in ROLES}
            story = {"main": 0, "related": 1}.get(role)
            segments.append({"text": segment.text, "role": role, "confidence": sure, "scores": scores, "story": story})
        stories = [
            {
                "story": story,
                "role": role,
                "topic": "sport",
                "confidence": 0.7,
                "segments": [i for i, s in enumerate(segments) if s["story"] == story],
            }
            for story, role in ((0, "main"), (1, "related"))
            if any(s["story"] == story for s in segments)
        ]
        records.append(
            {"page_id": page.page_id, "segments": segments, "stories": stories, "model": {"name": "n", "version": "v", "family": "f"}}
        )
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
            segments: list[dict[str, Any]] = []
            for text in texts:
                role = ROLES[len(text.split()) % len(ROLES)]
                scores = {r: 0.75 if r == role else 0.125 for r in ROLES}
                story = {"main": 0, "related": 1}.get(role)
                segments.append({"text": text, "role": role, "confidence": 0.75, "scores": scores, "story": story})
            stories = [
                {
                    "story": n,
                    "role": role,
                    "topic": None,
                    "confidence": 0.75,
                    "segments": [i for i, s in enumerate(segments) if s["story"] == n],
                }
                for n, role in ((0, "main"), (1, "related"))
                if any(s["story"] == n for s in segments)
            ]
            model = {"name": self.name, "version": self.version, "family": self.family}
            yield {"page_id": page_id, "segments": segments, "stories": stories, "model": model}


def guessed(config: Config, parts: Mapping[str, Sequence[Page]], texts: object, work: Path) -> list[dict[str, Any]]:
    """In place of `train.crossval.label_unseen`: records as good as the config's settings, by their hash, say; nothing is trained."""
    settings = {name: value for name, value in config.flat().items() if name.startswith(("baseline", "seed"))}
    luck = int(sha256_json({name: str(value) for name, value in settings.items()})[:6], 16) / 16**6
    return answered(parts["test"], wrong=0.05 + 0.3 * luck, seed=config.seed)

"""Records of a model that is wrong now and then."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from train.corpus.page import Page
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

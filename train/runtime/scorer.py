"""What a family at work must answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np

FamilyName = Literal["baseline", "encoder"]
FAMILIES: tuple[FamilyName, ...] = get_args(FamilyName)
"""Kinds of models."""


class Scorer(Protocol):
    """A family at work."""

    topics: tuple[str, ...]

    def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """State probabilities of segments, and their topic logits where the family has a head for them; `pages` are
        cleaned segments, page by page.

        Returns:
            State probabilities `[n, 4]` page by page; topic logits `[n, topics]` page by page, or None.
        """
        ...


@runtime_checkable
class StoryScorer(Scorer, Protocol):
    """A family that reads topics from whole stories, not with the segments' states."""

    def story_topics(self, stories: Sequence[str]) -> np.ndarray:
        """Topic probabilities `[stories, topics]` of whole stories' texts, `stories`."""
        ...

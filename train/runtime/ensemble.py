"""Several families at work as one: the mean of what they say of each segment, and of each story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .labeler import Reader, StoryReader


@dataclass
class Ensemble:
    """The mean of several readers (Lakshminarayanan, Pritzel & Blundell 2017): families that differ in kind err in different places.

    Args:
        readers: Family -> its reader.
        topics: Topic names in the order of the scores, the same for all of them; empty without topics.
    """

    readers: Mapping[str, Reader]
    topics: tuple[str, ...]

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """State probabilities `[n, 4]` page by page; topic logits `[n, topics]` by the readers that have them, None where none has."""
        found = [reader.states(pages) for reader in self.readers.values()]
        logits = [topics for _, topics in found if topics is not None]
        return _means([states for states, _ in found]), _means(logits) if logits else None


@dataclass
class StoryEnsemble(Ensemble):
    """An ensemble of which some readers read topics from whole stories."""

    def story_topics(self, stories: Sequence[str]) -> np.ndarray:
        """Topic probabilities `[stories, topics]` of whole stories' texts, by these readers."""
        found = [reader.story_topics(stories) for reader in self.readers.values() if isinstance(reader, StoryReader)]
        return np.asarray(np.mean(found, axis=0))


def ensemble_of(readers: Mapping[str, Reader]) -> Ensemble:
    """The ensemble of some readers."""
    kind = StoryEnsemble if any(isinstance(reader, StoryReader) for reader in readers.values()) else Ensemble
    return kind(readers, next(iter(readers.values())).topics)


def _means(found: Sequence[list[np.ndarray]]) -> list[np.ndarray]:
    """Page by page, the mean over readers."""
    return [np.asarray(np.mean(rows, axis=0)) for rows in zip(*found, strict=True)]

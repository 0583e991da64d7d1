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
        shares: Family -> its say in roles, of any sum. In topics those that read segments count as one, and as much as those that read whole stories.
    """

    readers: Mapping[str, Reader]
    topics: tuple[str, ...]
    shares: Mapping[str, float]

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        """State probabilities `[n, 4]` page by page; topic logits `[n, topics]` by the readers that have them, None where none has."""
        found = [reader.states(pages) for reader in self.readers.values()]
        logits = [topics for _, topics in found if topics is not None]
        return mixed([states for states, _ in found], [self.shares[name] for name in self.readers]), mixed(logits) if logits else None


@dataclass
class StoryEnsemble(Ensemble):
    """An ensemble of which some readers read topics from whole stories."""

    def story_topics(self, stories: Sequence[str]) -> np.ndarray:
        """Topic probabilities `[stories, topics]` of whole stories' texts, by these readers."""
        found = [reader.story_topics(stories) for reader in self.readers.values() if isinstance(reader, StoryReader)]
        return np.asarray(np.mean(found, axis=0))


def ensemble_of(readers: Mapping[str, Reader], shares: Mapping[str, float] | None = None) -> Ensemble:
    """The ensemble of some readers; without `shares` all have the same say."""
    kind = StoryEnsemble if any(isinstance(reader, StoryReader) for reader in readers.values()) else Ensemble
    return kind(readers, next(iter(readers.values())).topics, dict.fromkeys(readers, 1.0) if shares is None else shares)


def mixed(found: Sequence[list[np.ndarray]], shares: Sequence[float] | None = None) -> list[np.ndarray]:
    """Page by page, the weighted mean over readers."""
    say = np.ones(len(found)) if shares is None else np.asarray(shares)
    return [np.tensordot(say / say.sum(), np.stack(rows), axes=1) for rows in zip(*found, strict=True)]

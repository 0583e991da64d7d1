"""Topics of stories, learnt by logistic regression over the mean vector of each story's segments and the tokens in
them.

A network's head that learns topics beside roles sees a story as often as it is on a page, and shares its number of
steps with the roles: fitted by itself, to its end, the same linear head is 1.5 points of topic macro-F1 better (log,
2026-11-27). Vectors of lower layers keep a text's form and blur its words; with the tokens themselves beside them three
layers tell topics better than all six do alone (log, 2026-11-30).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags, hstack
from sklearn.preprocessing import StandardScaler

from train.corpus.page import Page
from train.models.linear import fit_linear
from train.runtime.baseline import coefficients
from train.runtime.text import TOPIC_WORD_LIMIT, clean, spaced_words

ITERATIONS = 1000
TOKENS_SCALE = 40.0
"""Mean length of a story's tokens beside its standardised vector, of which every number is about 1: what the penalty
weighs them by."""
MIN_STORIES = 2
"""A token of fewer stories tells nothing."""
Story = tuple[tuple[str, ...], str]
"""The cleaned segments of a story, and its topic."""


def labelled_stories(pages: Iterable[Page]) -> list[Story]:
    """The stories that have a topic; the same one on several pages counts once. A related segment without a story
    number is a story of its own."""
    stories: dict[Story, None] = {}
    for page in pages:
        members: dict[tuple[int, str], list[str]] = {}
        for i, s in enumerate(page.segments, start=1):
            if s.topic is not None:
                members.setdefault((-i if s.story is None else s.story, s.topic), []).append(clean(s.text))
        stories |= {(tuple(texts), topic): None for (_, topic), texts in members.items()}
    return list(stories)


def story_weights(texts: Sequence[str]) -> np.ndarray:
    """How much each of a story's segments tells of its topic, `[segments]` of sum 1: by its words, as the labeler
    weighs what it says."""
    words = np.clip([spaced_words(text) for text in texts], 1, TOPIC_WORD_LIMIT)
    return np.asarray(words / words.sum())


def token_counts(ids: Sequence[Sequence[int]], vocabulary: int) -> csr_matrix:
    """How often each text has each token, over the root of its number of tokens.

    Args:
        ids: Token ids of each text, without those that open and close it.
        vocabulary: How many tokens there are.

    Returns:
        Sparse float64 `[texts, vocabulary]`.
    """
    lengths = np.array([len(text) for text in ids], np.int64)
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    indices = np.fromiter((token for text in ids for token in text), np.int64, int(lengths.sum()))
    return csr_matrix((values, indices, np.concatenate([[0], lengths.cumsum()])), (len(lengths), vocabulary))


@dataclass(frozen=True)
class TopicWeights:
    """What a segment tells of its story's topic: `vectors @ over_vectors.T + token_counts @ over_tokens + biases`.

    Args:
        over_vectors: float32 `[topics, width]`.
        over_tokens: float32 `[vocabulary, topics]`.
        biases: float32 `[topics]`.
    """

    over_vectors: np.ndarray
    over_tokens: np.ndarray
    biases: np.ndarray

    def logits(self, vectors: np.ndarray, tokens: csr_matrix) -> np.ndarray:
        """Topic logits of texts, float32 `[texts, topics]`.

        Args:
            vectors: The texts' vectors, `[texts, width]`.
            tokens: The texts' `token_counts`, `[texts, vocabulary]`.
        """
        return np.asarray(vectors @ self.over_vectors.T + tokens @ self.over_tokens + self.biases, np.float32)


def fit_topics(vectors: np.ndarray, tokens: csr_matrix, labels: np.ndarray, *, c: float, seed: int) -> TopicWeights:
    """Logistic regression over stories, of which each is a mean of segments; of such a mean it says the mean of what it
    says of each.

    Tokens weigh the more, the fewer stories have them (inverse document frequency, Spärck Jones 1972).

    Args:
        vectors: Mean vectors of stories `[stories, width]`.
        tokens: Mean `token_counts` of stories, `[stories, vocabulary]`.
        labels: `[stories]` topic indices from 0, each there at least once.
        c: Inverse strength of the l2 penalty.
        seed: Seeds the solver.
    """
    width, n = vectors.shape[1], len(labels)
    scaler = StandardScaler().fit(vectors)
    stories = np.bincount(tokens.indices, minlength=tokens.shape[1])
    rarity = np.where(stories >= MIN_STORIES, np.log((1 + n) / (1 + stories)) + 1, 0.0)
    weighted = tokens @ diags(rarity)
    scale = TOKENS_SCALE / max(float(np.sqrt(weighted.multiply(weighted).sum(axis=1)).mean()), 1e-9)
    rows = hstack([csr_matrix(scaler.transform(vectors)), weighted * scale]).tocsr()
    weights, biases = coefficients(fit_linear(rows, labels, c, ITERATIONS, seed))
    over_vectors = weights[:width] / scaler.scale_[:, None]
    over_tokens = weights[width:] * (rarity * scale)[:, None]
    return TopicWeights(
        over_vectors.T.astype(np.float32),
        over_tokens.astype(np.float32),
        (biases - scaler.mean_ @ over_vectors).astype(np.float32),
    )


def topic_indices(stories: Sequence[Story], topics: Sequence[str]) -> np.ndarray:
    """The index in `topics` of the topic of each of `stories`, int64 `[stories]`."""
    index = {topic: i for i, topic in enumerate(topics)}
    return np.array([index[topic] for _, topic in stories], np.int64)

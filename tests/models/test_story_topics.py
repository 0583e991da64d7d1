"""A story's topic is the mean over its segments, each weighted by its words: alike in training and when pages are labelled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from train.models.network import story_means
from train.runtime import Labeler
from train.runtime.decoding import Decoder, softmax
from train.runtime.reading import TOPIC_WORD_LIMIT, clean, numbers

STORY = ["By Ada Linwood", "42 minutes ago", " ".join(["goal"] * 12), " ".join(["goal"] * 300)]


class OneTopicASegment:
    """A reader whose first segments speak for one topic, and long ones for the other."""

    topics = ("business", "sport")

    def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        logits = [np.array([[3.0, 0.0] if len(text.split()) < 10 else [0.0, 1.0] for text in page]).reshape(-1, 2) for page in pages]
        return [np.tile([1.0, 0, 0, 0], (len(page), 1)) for page in pages], logits


def labeler(**settings: int) -> Labeler:
    return Labeler(OneTopicASegment(), Decoder.from_states([], weight=0.0), "", "", "", OneTopicASegment.topics, **settings)


def test_a_paragraph_says_more_than_a_byline() -> None:
    assert next(labeler().label([("p", STORY)]))["stories"][0]["topic"] == "sport"
    alike = next(labeler(topic_word_limit=1).label([("p", STORY)]))["stories"][0]
    assert alike["topic"] == "business", "bundles that do not say how they weigh were trained with equal weights"


def test_words_beyond_the_limit_say_no_more() -> None:
    longer = [*STORY[:3], " ".join(["goal"] * 3000)]
    by_length = [labeler().story_topics([texts], [[0] * 4])[0][0] for texts in (STORY, longer)]
    assert by_length[0] == pytest.approx(by_length[1])


def test_training_takes_the_mean_that_labelling_takes() -> None:
    texts = [clean(text) for text in STORY]
    logits = OneTopicASegment().states([texts])[1]
    assert logits is not None
    means = story_means(torch.from_numpy(logits[0]), torch.from_numpy(numbers(texts)), torch.tensor([1, 1, 0, 1]), 3)
    weights = np.array([3, 3, TOPIC_WORD_LIMIT])
    assert means[1].numpy() == pytest.approx(np.average(logits[0][[0, 1, 3]], axis=0, weights=weights), abs=1e-4)
    assert means[0].tolist() == pytest.approx([0.0, 1.0])
    assert means[2].tolist() == [0.0, 0.0], "a story without segments here says nothing"
    assert labeler().story_topics([STORY], [[1, 1, None, 1]])[0][1] == pytest.approx(softmax(means[1].numpy()), abs=1e-4)

"""A story's topic is the mean over its segments, each weighted by its words: alike in training and when pages are
labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.helpers.pages import make_page
from train.corpus.page import Page, Segment
from train.models.encoder.networks import SegmentReader
from train.models.family import topics_of
from train.models.story_topics import (
    TOKENS_SCALE,
    TopicWeights,
    fit_topics,
    labelled_stories,
    story_weights,
    token_counts,
    topic_indices,
)
from train.runtime import Labeler
from train.runtime.decoding import Decoder, softmax
from train.runtime.text import TOPIC_WORD_LIMIT, clean

STORY = ["By Ada Linwood", "42 minutes ago", " ".join(["goal"] * 12), " ".join(["goal"] * 300)]


class OneTopicASegment:
    """A reader whose first segments speak for one topic, and long ones for the other."""

    topics = ("business", "sport")

    def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
        logits = [
            np.array([[3.0, 0.0] if len(text.split()) < 10 else [0.0, 1.0] for text in page]).reshape(-1, 2)
            for page in pages
        ]
        return [np.tile([1.0, 0, 0, 0], (len(page), 1)) for page in pages], logits


def labeler(**settings: int) -> Labeler:
    return Labeler(
        OneTopicASegment(), Decoder.from_tags([], weight=0.0), "", "", "", OneTopicASegment.topics, **settings
    )


def test_a_paragraph_says_more_than_a_byline() -> None:
    assert next(labeler().label([("p", STORY)]))["stories"][0]["topic"] == "sport"
    alike = next(labeler(topic_word_limit=1).label([("p", STORY)]))["stories"][0]
    assert alike["topic"] == "business", "bundles that do not say how they weigh were trained with equal weights"


def test_words_beyond_the_limit_say_no_more() -> None:
    longer = [*STORY[:3], " ".join(["goal"] * 3000)]
    by_length = [labeler().story_topics([texts], [[0] * 4])[0][0] for texts in (STORY, longer)]
    assert by_length[0] == pytest.approx(by_length[1])


def test_a_segment_of_no_story_says_nothing_of_any() -> None:
    logits = OneTopicASegment().score_segments([[clean(text) for text in STORY]])[1]
    assert logits is not None
    mean = np.average(logits[0][[0, 1, 3]], axis=0, weights=[3, 3, TOPIC_WORD_LIMIT])
    assert labeler().story_topics([STORY], [[1, 1, None, 1]])[0][1] == pytest.approx(softmax(mean))


def test_a_story_counts_once_whatever_pages_show_it() -> None:
    page = make_page("a", 1)
    again = page.with_segments(tuple(replace(s, text=f" {s.text}  ") for s in page.segments))
    stories = labelled_stories([page, again, page.without_topics()])
    assert [texts for texts, _ in stories] == [
        tuple(clean(s.text) for s in page.segments if s.story == number) for number in (0, 1, 2)
    ]
    assert topic_indices(stories, ("business", "sport")).tolist() == [int(topic == "sport") for _, topic in stories]


def test_every_topic_has_a_story() -> None:
    """A related segment that is of no numbered story still has its topic, and one text may have two."""
    one = Page(
        "p", "a.example", (Segment("Goal", "main", 0, "sport"), Segment("Shares fall", "related", None, "business"))
    )
    other = Page("q", "b.example", (Segment("Goal", "main", 0, "art"),))
    stories = labelled_stories([one, other])
    assert stories == [(("Goal",), "sport"), (("Shares fall",), "business"), (("Goal",), "art")]
    assert sorted({topic for _, topic in stories}) == list(topics_of([one, other]))


def test_related_segments_without_a_number_are_stories_of_their_own() -> None:
    segments = (
        Segment("Goal", "main", 0, "sport"),
        Segment("Cup won", "related", None, "sport"),
        Segment("Match lost", "related", None, "sport"),
    )
    assert labelled_stories([Page("p", "a.example", segments)]) == [
        ((text,), "sport") for text in ("Goal", "Cup won", "Match lost")
    ]


def _stories(topics: int) -> tuple[np.ndarray, csr_matrix, np.ndarray]:
    """Vectors, tokens and topics of ninety stories; the fourth token is in all of them, the fifth in one."""
    rng = np.random.default_rng(3)
    labels = np.arange(90) % topics
    vectors = rng.normal(size=(90, 5)) * [1, 10, 0.1, 3, 1] + np.eye(topics, 5)[labels] * 2 + 7
    tokens = [[int(label), 3, *([4] if i == 7 else [])] for i, label in enumerate(labels)]
    return vectors.astype(np.float32), token_counts(tokens, 6), labels


@pytest.mark.parametrize("topics", [2, 3])
def test_topics_are_the_logistic_regression_of_vectors_and_rare_tokens(topics: int) -> None:
    vectors, tokens, labels = _stories(topics)
    found = fit_topics(vectors, tokens, labels, c=0.1, seed=1)
    rarity = np.array(
        [np.log(91 / (1 + (labels == topic).sum())) + 1 if topic < topics else 0.0 for topic in range(3)]
        + [1.0, 0.0, 0.0]
    )
    weighted = tokens.toarray() * rarity
    rows = np.hstack(
        [StandardScaler().fit_transform(vectors), weighted * TOKENS_SCALE / np.linalg.norm(weighted, axis=1).mean()]
    )
    expected = LogisticRegression(C=0.1, max_iter=1000, random_state=1).fit(rows, labels).predict_proba(rows)
    assert np.allclose(softmax(found.logits(vectors, tokens)), expected, atol=1e-3)
    assert not found.over_tokens[4:].any(), "a token of one story, or of none, tells nothing"


def test_tokens_count_over_the_root_of_a_texts_length() -> None:
    assert token_counts([[1, 1, 0, 2], [], [2]], 3).toarray() == pytest.approx(
        np.array([[0.5, 1, 0.5], [0, 0, 0], [0, 0, 1]])
    )


def test_a_segment_tells_its_topic_alike_in_torch_and_from_stored_vectors() -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 9,
    }
    backbone = BertModel(BertConfig(**sizes)).eval()
    rng = np.random.default_rng(0)
    over_tokens = rng.normal(size=(9, 2)).astype(np.float32)
    over_tokens[:3] = 0  # those that open, close and pad
    weights = TopicWeights(rng.normal(size=(2, 16)).astype(np.float32), over_tokens, np.array([0.5, -1], np.float32))
    ids, mask = (
        torch.tensor([[1, 5, 7, 7, 2], [1, 8, 2, 0, 0], [1, 2, 0, 0, 0]]),
        torch.tensor([[1] * 5, [1, 1, 1, 0, 0], [1, 1, 0, 0, 0]]),
    )
    with torch.inference_mode():
        vectors, told = SegmentReader(backbone)(ids, mask), SegmentReader(backbone, weights)(ids, mask)
    assert torch.equal(told[:, :16], vectors)
    assert np.allclose(told[:, 16:], weights.logits(vectors.numpy(), token_counts([[5, 7, 7], [8], []], 9)), atol=1e-5)


def test_what_a_storys_mean_says_is_what_the_labeler_makes_of_its_segments() -> None:
    """Long paragraphs have more to say than a byline, up to a limit."""
    texts = ["By Ann", " ".join(["word"] * 8), " ".join(["word"] * 300)]
    vectors = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    mean = story_weights(texts) @ vectors
    assert np.allclose(mean, np.array([2, 8, TOPIC_WORD_LIMIT]) / (10 + TOPIC_WORD_LIMIT))

    class Linear:
        topics = ("a", "b", "c")

        def score_segments(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
            return [np.tile([1.0, 0, 0, 0], (len(page), 1)) for page in pages], [vectors * 5 for _ in pages]

    found = Labeler(Linear(), Decoder.from_tags([], weight=0.0), "", "", "", Linear.topics).story_topics(
        [texts], [[0, 0, 0]]
    )[0][0]
    assert np.allclose(found, softmax(mean * 5), atol=1e-6)

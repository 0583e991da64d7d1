"""A story's topic is the mean over its segments, each weighted by its words: alike in training and when pages are labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from tests.helpers.pages import make_page
from train.corpus.page import Page, Segment
from train.models.family import topics_of
from train.models.page_network import PageNetwork
from train.models.story_topics import labelled_stories, mean_vector, topic_head, topic_indices
from train.runtime import Labeler
from train.runtime.decoding import Decoder, softmax
from train.runtime.encoder import COUNTED_NAMES
from train.runtime.reading import TOPIC_WORD_LIMIT, clean

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


def test_a_segment_of_no_story_says_nothing_of_any() -> None:
    logits = OneTopicASegment().states([[clean(text) for text in STORY]])[1]
    assert logits is not None
    mean = np.average(logits[0][[0, 1, 3]], axis=0, weights=[3, 3, TOPIC_WORD_LIMIT])
    assert labeler().story_topics([STORY], [[1, 1, None, 1]])[0][1] == pytest.approx(softmax(mean))


def test_a_story_counts_once_whatever_pages_show_it() -> None:
    page = make_page("a", 1)
    again = page.with_segments(tuple(replace(s, text=f" {s.text}  ") for s in page.segments))
    stories = labelled_stories([page, again, page.without_topics()])
    assert [texts for texts, _ in stories] == [tuple(clean(s.text) for s in page.segments if s.story == number) for number in (0, 1, 2)]
    assert topic_indices(stories, ("business", "sport")).tolist() == [int(topic == "sport") for _, topic in stories]


def test_every_topic_has_a_story() -> None:
    """A related segment that is of no numbered story still has its topic, and one text may have two."""
    one = Page("p", "a.example", (Segment("Goal", "main", 0, "sport"), Segment("Shares fall", "related", None, "business")))
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
    assert labelled_stories([Page("p", "a.example", segments)]) == [((text,), "sport") for text in ("Goal", "Cup won", "Match lost")]


@pytest.mark.parametrize("topics", [2, 3])
def test_a_head_over_means_is_the_logistic_regression_of_standardised_means(topics: int) -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(90) % topics
    means = rng.normal(size=(90, 5)) * [1, 10, 0.1, 3, 1] + np.eye(topics, 5)[labels] * 2 + 7
    weights, biases = topic_head(means, labels, c=0.1, seed=1)
    rows = StandardScaler().fit_transform(means)
    expected = LogisticRegression(C=0.1, max_iter=1000, random_state=1).fit(rows, labels).predict_proba(rows)
    assert np.allclose(softmax(means @ weights.T + biases), expected, atol=1e-4)


def test_a_networks_head_takes_vectors_as_they_are_and_training_leaves_it_alone() -> None:
    torch.manual_seed(0)
    network = PageNetwork(6, width=4, depth=1, dropout=0.5, topics=2)
    vectors = torch.randn(1, 7, 6) * 3 + 1
    network.standardise_by(vectors[0])
    weights, biases = torch.randn(2, 6), torch.randn(2)
    network.set_topics(weights, biases)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1, weight_decay=0.5)
    network.train()
    network(vectors, torch.zeros(1, 7, len(COUNTED_NAMES)))[0].sum().backward()
    optimizer.step()
    found = network.eval()(vectors, torch.zeros(1, 7, len(COUNTED_NAMES)))[1]
    assert torch.allclose(found, vectors @ weights.T + biases, atol=1e-4)


def test_roles_are_read_from_their_part_of_a_vector_and_topics_from_the_whole() -> None:
    torch.manual_seed(0)
    network = PageNetwork(6, width=4, depth=1, dropout=0.0, topics=2, read_for_roles=[slice(0, 2), slice(4, 6)]).eval()
    vectors, numbers = torch.randn(1, 7, 6), torch.zeros(1, 7, len(COUNTED_NAMES))
    states, topics = network(vectors, numbers)
    for part, tells_roles in ((0, True), (2, False), (3, False), (5, True)):
        other = vectors.clone()
        other[0, 3, part] += 1
        other_states, other_topics = network(other, numbers)
        assert torch.equal(other_states, states) != tells_roles
        assert not torch.equal(other_topics, topics)


def test_what_the_mean_vector_says_is_what_the_labeler_makes_of_its_segments() -> None:
    """Long paragraphs have more to say than a byline, up to a limit."""
    texts = ["By Ann", " ".join(["word"] * 8), " ".join(["word"] * 300)]
    vectors = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    mean = mean_vector(texts, vectors)
    assert np.allclose(mean, np.array([2, 8, TOPIC_WORD_LIMIT]) / (10 + TOPIC_WORD_LIMIT))

    class Linear:
        topics = ("a", "b", "c")

        def states(self, pages: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
            return [np.tile([1.0, 0, 0, 0], (len(page), 1)) for page in pages], [vectors * 5 for _ in pages]

    found = Labeler(Linear(), Decoder.from_states([], weight=0.0), "", "", "", Linear.topics).story_topics([texts], [[0, 0, 0]])[0][0]
    assert np.allclose(found, softmax(mean * 5), atol=1e-6)

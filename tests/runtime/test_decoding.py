"""The page decoder against a sum over all paths, and the borders of stories by hand."""

from __future__ import annotations

from dataclasses import astuple
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.runtime.decoding import (
    B_RELATED,
    BOILERPLATE,
    I_RELATED,
    MAIN,
    TAGS,
    Decoder,
    group_segments,
    role_scores,
    softmax,
    tags_of,
)
from train.runtime.text import ROLES


def _random_decoder(rng: np.random.Generator, weight: float, prior_weight: float) -> Decoder:
    """A chain that likes no state as much as another, in either direction."""
    start, transition, prior = rng.dirichlet([0.7] * 4), rng.dirichlet([0.7] * 4, size=4), rng.dirichlet([2.0] * 4)
    return Decoder(*(np.log(np.maximum(shares, 1e-6)) for shares in (start, transition, prior)), weight, prior_weight)


def _by_all_paths(decoder: Decoder, local: np.ndarray) -> np.ndarray:
    """Each state's share of the sum over all paths: local scores without their share of the prior, times the weighted
    chain."""
    total = np.zeros_like(local)
    for path in product(range(4), repeat=len(local)):
        chain = np.exp(decoder.log_start)[path[0]]
        for before, after in pairwise(path):
            chain *= np.exp(decoder.log_transition)[before, after]
        prior = np.prod([np.exp(decoder.log_prior)[state] for state in path])
        own = np.prod([local[i, state] for i, state in enumerate(path)])
        likely = own * (chain / prior**decoder.prior_weight) ** decoder.weight
        for i, state in enumerate(path):
            total[i, state] += likely
    return np.asarray(total / total.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("prior_weight", [0.0, 0.5, 1.0])
@settings(max_examples=30)
@given(n=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_the_posterior_is_the_sum_over_all_paths(weight: float, prior_weight: float, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    decoder = _random_decoder(rng, weight, prior_weight)
    local = np.maximum(rng.dirichlet([0.7] * 4, size=n), 1e-6)
    local /= local.sum(axis=1, keepdims=True)
    expected = _by_all_paths(decoder, local)
    found = decoder.posterior(local)
    assert np.abs(found - expected).max() < 1e-9
    # Roles in their own order: related is told by two states.
    by_role = np.stack(
        [expected[:, MAIN], expected[:, B_RELATED] + expected[:, I_RELATED], expected[:, BOILERPLATE]], axis=1
    )
    assert np.abs(role_scores(found) - by_role).max() < 1e-9
    best = by_role[np.arange(n), group_segments(found)[0]]
    assert (best >= by_role.max(axis=1) - 1e-9).all()


def test_five_segments_are_the_sum_over_all_paths_too() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        decoder, local = _random_decoder(rng, 0.75, 0.5), rng.dirichlet([1.0] * 4, size=5)
        assert np.abs(decoder.posterior(local) - _by_all_paths(decoder, local)).max() < 1e-9


def test_two_segments_by_hand() -> None:
    """main, then boilerplate, is nine times as likely as main twice; nothing else is told by the chain."""
    transition = np.full((4, 4), 0.25)
    transition[MAIN] = [0.09, 0.81, 0.05, 0.05]
    decoder = Decoder(np.log(np.full(4, 0.25)), np.log(transition), np.log(np.full(4, 0.25)), 1.0, 0.0)
    local = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    found = decoder.posterior(local)
    assert found[1] == pytest.approx([0.1, 0.9, 0, 0], abs=1e-6)
    assert found[0] == pytest.approx([1, 0, 0, 0], abs=1e-6)


def test_the_prior_is_divided_out_of_one_segment_by_hand() -> None:
    """A state that half of all segments have is half as telling as one that a quarter has."""
    prior = np.log([0.5, 0.25, 0.125, 0.125])
    uniform = np.log(np.full(4, 0.25)), np.log(np.full((4, 4), 0.25))
    local = np.full((1, 4), 0.25)
    assert Decoder(*uniform, prior, 1.0, 1.0).posterior(local)[0] == pytest.approx(np.array([2, 4, 8, 8]) / 22)
    assert Decoder(*uniform, prior, 1.0, 0.0).posterior(local)[0] == pytest.approx([0.25] * 4)
    assert Decoder(*uniform, prior, 0.5, 1.0).posterior(local)[0] == pytest.approx(
        np.sqrt([2, 4, 8, 8]) / np.sqrt([2, 4, 8, 8]).sum()
    )


def test_starts_transitions_and_shares_are_counted_page_by_page() -> None:
    pages = [np.array([MAIN, MAIN, BOILERPLATE]), np.array([], np.int64), np.array([BOILERPLATE, B_RELATED, I_RELATED])]
    decoder = Decoder.from_tags(pages, weight=0.25, prior_weight=0.75)
    assert np.exp(decoder.log_start) == pytest.approx(np.array([1.5, 1.5, 0.5, 0.5]) / 4)
    assert np.exp(decoder.log_prior) == pytest.approx(np.array([2.5, 2.5, 1.5, 1.5]) / 8)
    counts = np.full((4, 4), 0.5)
    counts[MAIN, MAIN] += 1
    counts[MAIN, BOILERPLATE] += 1
    counts[BOILERPLATE, B_RELATED] += 1
    counts[B_RELATED, I_RELATED] += 1
    assert np.exp(decoder.log_transition) == pytest.approx(counts / counts.sum(axis=1, keepdims=True))
    assert (decoder.weight, decoder.prior_weight) == (0.25, 0.75)


def test_every_number_of_a_decoder_is_read_back_as_it_was() -> None:
    decoder = _random_decoder(np.random.default_rng(3), 0.25, 0.75)
    again = Decoder.from_json(decoder.to_json())
    for ours, theirs in zip(astuple(again), astuple(decoder), strict=True):
        assert np.array_equal(ours, theirs)


def _rows(*states: tuple[float, float]) -> np.ndarray:
    """Posteriors of related segments: how sure that a story begins there, and that it goes on."""
    return np.array([[0.0, 0.1, begins, goes_on] for begins, goes_on in states])


MAIN_ROW, BOILERPLATE_ROW = np.eye(4)[[MAIN]], np.eye(4)[[BOILERPLATE]]


def test_a_story_begins_where_beginning_is_likelier_than_going_on() -> None:
    posterior = _rows((0.6, 0.3), (0.2, 0.7), (0.5, 0.4), (0.1, 0.8), (0.4, 0.5))
    assert group_segments(posterior)[1] == [1, 1, 2, 2, 2]


def test_a_draw_between_beginning_and_going_on_begins_a_story() -> None:
    assert group_segments(_rows((0.6, 0.3), (0.45, 0.45)))[1] == [1, 2]


def test_the_first_related_segment_begins_a_story_whatever_it_says() -> None:
    assert group_segments(np.vstack([MAIN_ROW, _rows((0.1, 0.8), (0.1, 0.8))]))[1] == [0, 1, 1]


def test_a_story_goes_on_across_boilerplate_and_main() -> None:
    posterior = np.vstack(
        [
            _rows((0.8, 0.1)),
            BOILERPLATE_ROW,
            _rows((0.2, 0.7)),
            MAIN_ROW,
            _rows((0.2, 0.7)),
            BOILERPLATE_ROW,
            _rows((0.7, 0.2)),
        ]
    )
    roles, stories = group_segments(posterior)
    assert stories == [1, None, 1, 0, 1, None, 2]
    assert [ROLES[role] for role in roles] == [
        "related",
        "boilerplate",
        "related",
        "main",
        "related",
        "boilerplate",
        "related",
    ]


def test_related_wins_by_the_sum_of_its_two_states() -> None:
    posterior = np.array([[0.4, 0.1, 0.25, 0.25], [0.1, 0.44, 0.3, 0.16], [0.1, 0.46, 0.3, 0.14]])
    assert role_scores(posterior) == pytest.approx(np.array([[0.4, 0.5, 0.1], [0.1, 0.46, 0.44], [0.1, 0.44, 0.46]]))
    assert [ROLES[role] for role in group_segments(posterior)[0]] == ["related", "related", "boilerplate"]


def test_a_story_number_that_is_new_on_the_page_begins_and_a_known_one_goes_on() -> None:
    roles = ["related", "related", "boilerplate", "related", "main", "related", "related"]
    states = tags_of(roles, [3, 3, None, 1, 0, 3, 1])
    assert [TAGS[state] for state in states] == [
        "related-begins",
        "related-goes-on",
        "boilerplate",
        "related-begins",
        "main",
        "related-goes-on",
        "related-goes-on",
    ]


def test_softmax_by_hand() -> None:
    assert softmax(np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]])) == pytest.approx(np.array([[1, 2, 5], [3, 3, 2]]) / 8)
    assert softmax(np.array([[1000.0, 1000.0]])) == pytest.approx(np.array([[0.5, 0.5]]))

"""The upper half of the encoder: pages of unlike length are read together, and padding says nothing."""

from __future__ import annotations

import torch

from train.models.encoder.networks import PageNetwork
from train.runtime.encoder import COUNTED_NAMES


def _network() -> PageNetwork:
    torch.manual_seed(13)
    network = PageNetwork(4, width=8, depth=1, dropout=0.0).eval()
    network.standardise_by(torch.randn(50, 4) + 3)
    return network


def test_what_stands_in_padding_changes_no_answer() -> None:
    network, vectors, numbers = _network(), torch.randn(1, 5, 4), torch.rand(1, 5, len(COUNTED_NAMES))
    present = torch.tensor([1.0, 1, 1, 0, 0]).reshape(1, 5, 1)
    with torch.no_grad():
        expected = network(vectors, numbers, present)
        found = network(vectors + 7 * (1 - present), numbers + 7 * (1 - present), present)
        unmarked = network(vectors + 7 * (1 - present), numbers + 7 * (1 - present))
    torch.testing.assert_close(found[:, :3], expected[:, :3])
    assert not torch.allclose(unmarked[:, :3], expected[:, :3]), "the page is read in both directions"


def test_a_column_that_never_changes_in_training_keeps_answers_finite() -> None:
    network = _network()
    network.standardise_by(torch.ones(50, 4))
    assert network(torch.full((1, 2, 4), 2.0), torch.rand(1, 2, len(COUNTED_NAMES))).isfinite().all()

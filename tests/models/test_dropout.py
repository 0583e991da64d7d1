from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from train.models.backbone import load_backbone
from train.models.dropout import PooledDropout, pool_dropout


def test_a_share_is_dropped_and_the_mean_is_kept() -> None:
    torch.manual_seed(0)
    dropout = PooledDropout(0.1).train()
    values = torch.ones(200, 384, requires_grad=True)
    answer = dropout(values)
    assert float((answer == 0).float().mean()) == pytest.approx(0.1, abs=0.005)
    assert float(answer.detach().mean()) == pytest.approx(1.0, abs=0.01)
    assert sorted(set(answer.detach().flatten().tolist())) == pytest.approx([0, 1 / 0.9])
    answer.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, answer.detach()), "what was dropped learns nothing"
    other = dropout(values)
    assert not torch.equal(other, answer), "another mask each time"
    assert torch.equal(dropout.eval()(values), values)


def test_the_same_seed_draws_the_same_masks() -> None:
    values = torch.ones(64, 64)
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(PooledDropout(0.3).train()(values))
    assert torch.equal(*drawn)
    torch.manual_seed(4)
    assert not torch.equal(PooledDropout(0.3).train()(values), drawn[0])


def test_what_was_dropped_before_does_not_choose_the_masks() -> None:
    drawn = []
    for before in (8, 3_000_000):
        PooledDropout(0.3).train()(torch.ones(before))
        torch.manual_seed(3)
        drawn.append(PooledDropout(0.3).train()(torch.ones(4, 64)))
    assert torch.equal(*drawn)


def test_values_of_any_size_and_kind() -> None:
    assert PooledDropout(0.5).train()(torch.ones(3, 700, 900)).shape == (3, 700, 900)
    assert PooledDropout(0.5).train()(torch.ones(8, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert torch.equal(PooledDropout(0.0).train()(torch.ones(5)), torch.ones(5))


def test_a_backbone_drops_hidden_states_and_not_attention(backbone: Path) -> None:
    _, model = load_backbone(str(backbone), dropout=0.2)
    kinds = [type(module) for module in model.modules()]
    assert nn.Dropout not in kinds
    assert PooledDropout in kinds
    assert model.config.attention_probs_dropout_prob == 0
    rates = {module.p for module in model.modules() if isinstance(module, PooledDropout)}
    assert rates == {0.0, 0.2}
    inner = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)))
    pool_dropout(inner)
    assert isinstance(inner[0][1], PooledDropout)

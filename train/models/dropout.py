"""Dropout (Srivastava et al. 2014) that costs next to nothing on a CPU.

A CPU draws random numbers one after the other: on the default backbone dropout makes a training step 1.9 times as long, most of it in
attention, which must give up its fused kernel for it. Here attention keeps its kernel, and masks are cut at random places from one long
mask that is drawn once; what remains is a product.
"""

from __future__ import annotations

import torch
from torch import nn

_LEAST = 1 << 22
_pools: dict[tuple[float, torch.dtype, int], torch.Tensor] = {}


class PooledDropout(nn.Module):
    """As `nn.Dropout`; on a CPU masks are slices of a pool, at places that torch's own random numbers choose.

    Args:
        p: Share of the values that become 0.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values, a share of them 0 and the others scaled up, while training."""
        if not self.training or self.p == 0:
            return values
        if values.device.type != "cpu":
            return nn.functional.dropout(values, self.p)
        n = values.numel()
        pool = _pool(self.p, values.dtype, n)
        at = int(torch.randint(len(pool) - n, (1,)))
        return values * pool[at : at + n].view(values.shape)


def _pool(p: float, dtype: torch.dtype, n: int) -> torch.Tensor:
    """A mask of four times as many values or more, the same in every process, whatever it dropped before."""
    size = max(_LEAST, 1 << (4 * n - 1).bit_length())
    found = _pools.get((p, dtype, size))
    if found is None:
        drawn = torch.empty(size).bernoulli_(1 - p, generator=torch.Generator().manual_seed(size))
        found = _pools[p, dtype, size] = (drawn / (1 - p)).to(dtype)
    return found


def pool_dropout(module: nn.Module) -> None:
    """Puts `PooledDropout` in the place of every dropout within a module."""
    for name, child in module.named_children():
        if type(child) is nn.Dropout:
            setattr(module, name, PooledDropout(child.p))
        else:
            pool_dropout(child)

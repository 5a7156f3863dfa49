"""Random numbers, one for each picture, from one generator; and operations on some pictures of a batch."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def uniform(count: int, low: float, high: float, draw: torch.Generator) -> Tensor:
    """(count, 1, 1, 1) uniform numbers."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=draw, device=draw.device)


def log_uniform(count: int, low: float, high: float, draw: torch.Generator) -> Tensor:
    """(count, 1, 1, 1) numbers whose logarithm is uniform."""
    return uniform(count, math.log(low), math.log(high), draw).exp()


def normal(shape: tuple[int, ...] | torch.Size, draw: torch.Generator) -> Tensor:
    """Independent normal numbers with mean 0 and variance 1."""
    return torch.randn(shape, generator=draw, device=draw.device)


def chance(count: int, probability: float, draw: torch.Generator) -> Tensor:
    """(count,) booleans that are true with `probability`."""
    return torch.rand(count, generator=draw, device=draw.device) < probability


def choice(count: int, weights: tuple[float, ...], draw: torch.Generator) -> Tensor:
    """(count,) integers with probabilities in proportion to `weights`."""
    shares = torch.tensor(weights, device=draw.device)
    return torch.multinomial(shares, count, replacement=True, generator=draw)


def rows_of(mask_B: Tensor) -> Tensor:
    """Indices where a mask is true."""
    return mask_B.nonzero().flatten()


def changed(batch_BCHW: Tensor, mask_B: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The batch with the pictures in a mask replaced; `change` gets only these pictures."""
    rows = rows_of(mask_B)
    if len(rows) == 0:
        return batch_BCHW
    return batch_BCHW.index_copy(0, rows, change(batch_BCHW[rows]))

"""The context of a cell at several scales: means over wider and wider neighbourhoods.

With its nearest neighbours alone, a cell would take many steps to compute the mean over a wide area. A pyramid without
down-sampling ("à trous", Holschneider et al. 1989) computes it at once, and is local.
"""

import torch
from torch import Tensor


def widened(x: Tensor, scales: int) -> list[Tensor]:
    """Means of the cells' channels (B, h, w, C) over wider and wider neighbourhoods, beginning with the cell itself."""
    means = [x]
    for scale in range(scales - 1):
        means.append(smoothed(smoothed(means[-1], 1, 2**scale), 2, 2**scale))
    return means


def reach(scales: int) -> int:
    """Radius of the receptive field of the widest mean, in cells."""
    return 2 ** (scales - 1) - 1


def smoothed(x: Tensor, dimension: int, hole: int) -> Tensor:
    """Applies the binomial filter 1/4, 1/2, 1/4 with holes (dilation), along one dimension."""
    size = x.shape[dimension]
    place = torch.arange(size, device=x.device)
    before = x.index_select(dimension, (place - hole).clamp(min=0))
    after = x.index_select(dimension, (place + hole).clamp(max=size - 1))
    return (before + after) / 4 + x / 2

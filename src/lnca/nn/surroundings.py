"""What is around a cell at several scales: means over wider and wider surroundings.

A cell that hears its nearest neighbours only would take many steps to find the mean over a wide area; a pyramid without
reduction ("à trous", Holschneider et al. 1989) hands it over at once, and is local.
"""

import torch
from torch import Tensor


def widened(x: Tensor, scales: int) -> list[Tensor]:
    """Means of what cells have (B, h, w, C) over wider and wider surroundings, which begin with their own."""
    means = [x]
    for scale in range(scales - 1):
        means.append(smoothed(smoothed(means[-1], 1, 2**scale), 2, 2**scale))
    return means


def reach(scales: int) -> int:
    """Cells that a mean depends on to either side."""
    return 2 ** (scales - 1) - 1


def smoothed(x: Tensor, dimension: int, hole: int) -> Tensor:
    """The binomial filter 1/4, 1/2, 1/4 with holes, along one dimension."""
    size = x.shape[dimension]
    place = torch.arange(size, device=x.device)
    before = x.index_select(dimension, (place - hole).clamp(min=0))
    after = x.index_select(dimension, (place + hole).clamp(max=size - 1))
    return (before + after) / 4 + x / 2

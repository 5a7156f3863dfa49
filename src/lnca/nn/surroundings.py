"""What is around a cell at several scales: means of the picture over wider and wider surroundings.

Where a picture is smooth, the mean over a wide area is the best that can be known of a pixel. A cell that hears its
nearest neighbours only would take many steps to find it; a pyramid without reduction ("à trous", Holschneider et al.
1989) hands it over at once, and is local.
"""

from functools import reduce

import torch
from torch import Tensor

SIDE = 4


def surroundings(image_BHWC: Tensor, scales: int) -> Tensor:
    """Means over each cell's 4x4 pixels, and over surroundings that double with each further scale.

    Every value is computed by the same sums in the same order, wherever it lies, so that a part of a picture gives the
    same as the whole, but within `reach` of its border.

    Args:
        image_BHWC: in [0, 1]; sides are multiples of 4; beyond its border the nearest cell goes on.
        scales: how many means.

    Returns:
        (B, H / 4, W / 4, C * scales), narrowest first.
    """
    return torch.cat(widened(reduce(torch.add, _parts(image_BHWC)) / SIDE**2, scales), -1)


def _parts(x_BHWC: Tensor) -> list[Tensor]:
    """The 16 pixels of each cell, row by row, (B, H / 4, W / 4, C) each."""
    blocks = x_BHWC.unflatten(2, (-1, SIDE)).unflatten(1, (-1, SIDE))
    return [blocks[:, :, row, :, column] for row in range(SIDE) for column in range(SIDE)]


def widened(x: Tensor, scales: int) -> list[Tensor]:
    """Means of what cells have (B, H / 4, W / 4, C) over wider and wider surroundings, which begin with their own."""
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

"""What is around a cell at several scales: means of the picture over wider and wider surroundings, and its grain.

Where a picture is smooth, the mean over a wide area is the best that can be known of a pixel. A cell that hears its
nearest neighbours only would take many steps to find it; a pyramid without reduction ("à trous", Holschneider et al.
1989) hands it over at once, and is local.

How much noise there is shows in differences of the finest kind, across diagonals, and best in those between colours, in
which a picture has next to nothing of its own (after Immerkær, "Fast Noise Variance Estimation", 1996). It takes a wide
area to tell noise from texture.
"""

from functools import reduce

import torch
from torch import Tensor

SIDE = 4
# Less than the variance of rounding to 8 bits.
LITTLE = 1e-6


def surroundings(image_BHWC: Tensor, scales: int, grain: bool = False) -> Tensor:
    """Means over each cell's 4x4 pixels, and over surroundings that double with each further scale.

    Every value is computed by the same sums in the same order, wherever it lies, so that a part of a picture gives the
    same as the whole, but within `reach` of its border.

    Args:
        image_BHWC: in [0, 1]; sides are multiples of 4; beyond its border the nearest cell goes on.
        scales: how many means.
        grain: also the strength of the grain, as logarithms, moved to about 0 +- 3.

    Returns:
        (B, H / 4, W / 4, C * scales), narrowest first; with grain three times as many channels, the means first.
    """
    around = torch.cat(widened(reduce(torch.add, _parts(image_BHWC)) / SIDE**2, scales), -1)
    if not grain:
        return around
    strength = torch.cat(widened(_energies(image_BHWC), scales), -1)
    return torch.cat([around, (strength + LITTLE).log() / 2 + 4], -1)


def _parts(x_BHWC: Tensor) -> list[Tensor]:
    """The 16 pixels of each cell, row by row, (B, H / 4, W / 4, C) each."""
    blocks = x_BHWC.unflatten(2, (-1, SIDE)).unflatten(1, (-1, SIDE))
    return [blocks[:, :, row, :, column] for row in range(SIDE) for column in range(SIDE)]


def _energies(image_BHWC: Tensor) -> Tensor:
    """Mean squares of the diagonal differences of neighbouring pixels, and of 2x2 of them, in each cell: of the mean of
    the channels, and of the differences of neighbouring ones; (B, H / 4, W / 4, 2 C).

    Of independent noise of variance v in all channels, v / C and 2 v of a difference.
    """
    mean = reduce(torch.add, image_BHWC.unbind(-1)) / image_BHWC.shape[-1]
    pixels = _parts(torch.cat([mean[..., None], image_BHWC.diff(dim=-1)], -1))

    def diagonal(upper: int, right: int, below: int) -> Tensor:
        return pixels[upper] - pixels[upper + right] - pixels[upper + below] + pixels[upper + below + right]

    corners = [SIDE * row + column for row in range(SIDE - 1) for column in range(SIDE - 1)]
    fine = reduce(torch.add, (diagonal(corner, 1, SIDE).square() for corner in corners)) / (4 * len(corners))
    coarse = reduce(torch.add, (diagonal(corner, 2, 2 * SIDE) for corner in (0, 1, SIDE, SIDE + 1))).square() / 16
    return torch.cat([fine, coarse], -1)


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

"""The Moore neighbourhood of a lattice of cells, as nine shifted views.

Shape suffixes: B batch, H rows, W columns of cells, C channels.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor


def neighbours(values_BHWC: Tensor) -> Iterator[Tensor]:
    """Yields the nine neighbours' values of every cell, row by row from the upper left, the cell itself fifth.

    Each is a view (B, H, W, C) of one zero-padded copy, so values outside the lattice are zero.
    """
    height, width = values_BHWC.shape[1:3]
    padded = F.pad(values_BHWC, (0, 0, 1, 1, 1, 1))
    for row in range(3):
        for column in range(3):
            yield padded[:, row : row + height, column : column + width]


def convolve(cells_BHWC: Tensor, kernel_C33: Tensor, bias: Tensor) -> Tensor:
    """A 3x3 convolution with a single filter and zero padding, (B, H, W, C) -> (B, H, W, 1).

    It is linear, so each cell computes nine dot products and then passes the results to its neighbours:
    cells exchange nine scalars instead of C channels.
    """
    taps = F.linear(cells_BHWC, kernel_C33.flatten(1).T)
    shifted = [view[..., tap : tap + 1] for tap, view in enumerate(neighbours(taps))]
    return torch.cat(shifted, -1).sum(-1, keepdim=True) + bias

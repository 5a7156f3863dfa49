"""What a blur leaves for the cells to find it by: how far the picture's gradients are like themselves some way off.

Where a picture was moved, each edge comes twice, with opposite signs, as far apart as the motion was long: the
autocorrelation of its gradients is low there, and high on the way (Yitzhaky and Kopeika, "Identification of Blur
Parameters from Motion Blurred Images", Graphical Models and Image Processing 1997). Means over wide surroundings tell
it from what the picture shows.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .surroundings import SIDE, smoothed

DISTANCES = (1, 2, 3, 4, 6, 8, 11, 14, 17, 20, 24, 28)
FAR = DISTANCES[-1]
# Positions between which autocorrelations are taken: every second row and column.
STRIDE = 2
# Less than the square of a gradient of one level of 255.
LITTLE = 1e-6
# Values of an autocorrelation that are smoothed at a time: few enough to stay in a core's cache.
AT_ONCE = 2**17
# Of photographs, likenesses some way off are of about the size of 1 so.
GAIN = 5


def _lags() -> list[tuple[int, int]]:
    """Rows down and columns to the right, about two pixels apart, of the half plane below."""
    found = set()
    for distance in DISTANCES:
        angles = max(4, min(24, int(math.pi * distance / 2.2)))
        for angle in (math.pi * number / angles for number in range(angles)):
            row, column = round(distance * math.sin(angle)), round(distance * math.cos(angle))
            found.add((-row, -column) if (row, column) < (0, 0) else (row, column))
    return sorted(found)


LAGS = _lags()
CHANNELS = 2 * (len(LAGS) + 1)


def echoes(image_BHWC: Tensor, scales: int, rows: int | None = None) -> Tensor:
    """Autocorrelations of the gradients to the right and down, over surroundings that are as wide as the widest of
    `surroundings` with so many scales.

    As there, a value is made by the same sums wherever it lies, and cells beyond the border are the nearest ones;
    gradients beyond it are zero.

    Args:
        image_BHWC: sides are multiples of 4, but for rows beyond `rows`.
        scales: at least 1.
        rows: of cells; `FAR` + 1 rows of pixels beyond them, or all that there are, are needed besides. All of the
            image's when None.

    Returns:
        (B, rows, W / 4, `CHANNELS`): for each gradient its likeness to the one at each of `LAGS`, from -`GAIN` to
        `GAIN`, and the logarithm of its mean square, moved and scaled to about 0 +- 1.
    """
    height = SIDE * (image_BHWC.shape[1] // SIDE if rows is None else rows)
    width, channels = image_BHWC.shape[2:]
    grey = image_BHWC[..., 0]
    for channel in range(1, channels):
        grey = grey + image_BHWC[..., channel]
    grey = grey / channels
    result = grey.new_empty(len(grey), height // SIDE, width // SIDE, CHANNELS)
    at_once = max(1, AT_ONCE // (len(grey) * height * width // SIDE**2))
    for number, gradient in enumerate((F.pad(grey.diff(dim=2), (0, 1)), F.pad(grey.diff(dim=1), (0, 0, 0, 1)))):
        around = F.pad(gradient[:, : height + FAR], (FAR, FAR, 0, FAR + max(0, height - gradient.shape[1])))
        # The pixels at each place of their cells, (SIDE, SIDE, B, cells, cells).
        places = around[:, : height + FAR].unflatten(2, (-1, SIDE)).unflatten(1, (-1, SIDE)).permute(2, 4, 0, 1, 3)
        places = places.contiguous()

        def at(row: int, column: int, places: Tensor = places) -> Tensor:
            """Of each cell the pixel so many rows down and columns to the right of its first."""
            (down, row), (right, column) = divmod(row, SIDE), divmod(FAR + column, SIDE)
            return places[row, column, :, down : down + height // SIDE, right : right + width // SIDE]

        def like(row: int, column: int, at: Callable[[int, int], Tensor] = at) -> Tensor:
            sums = [
                [at(y, x) * at(y + row, x + column) for x in range(0, SIDE, STRIDE)] for y in range(0, SIDE, STRIDE)
            ]
            return (sums[0][0] + sums[0][1]) + (sums[1][0] + sums[1][1])

        def around_cells(lags: list[tuple[int, int]], like: Callable[[int, int], Tensor] = like) -> Tensor:
            means = torch.stack([like(*lag) for lag in lags], -1) / (SIDE // STRIDE) ** 2
            for scale in range(scales - 1):
                means = smoothed(smoothed(means, 1, 2**scale), 2, 2**scale)
            return means

        likenesses = result.chunk(2, -1)[number]
        own = around_cells([(0, 0)]) + LITTLE
        for first in range(0, len(LAGS), at_once):
            lags = LAGS[first : first + at_once]
            likenesses[..., first : first + len(lags)] = GAIN * around_cells(lags) / own
        likenesses[..., -1:] = own.log() / 2 + 4
    return result

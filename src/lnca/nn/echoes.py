"""What a blur leaves for the cells to find it by: how far the picture's gradients are like themselves some way off.

Where a picture was moved, each edge comes twice, with opposite signs, as far apart as the motion was long: the
autocorrelation of its gradients is low there, and high on the way (Yitzhaky and Kopeika, "Identification of Blur
Parameters from Motion Blurred Images", Graphical Models and Image Processing 1997). Means over wide surroundings tell
it from what the picture shows.
"""

import math
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from .surroundings import SIDE, widened

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
    batch, width = image_BHWC.shape[0], image_BHWC.shape[2]
    height = SIDE * (image_BHWC.shape[1] // SIDE if rows is None else rows)
    lags = torch.tensor(LAGS, device=image_BHWC.device)
    # An exported graph has no way to count how many cells there are.
    at_once = len(lags)
    if not torch.compiler.is_exporting():
        at_once = max(1, AT_ONCE // (batch * height * width // SIDE**2))
    found = []
    for gradient in gradients(image_BHWC):
        around = F.pad(gradient, (FAR, FAR, 0, FAR))
        own = widened(_autocorrelation(gradient, around, lags.new_zeros(1, 2), height), scales)[-1] + LITTLE
        found += [
            GAIN * widened(_autocorrelation(gradient, around, some, height), scales)[-1] / own
            for some in lags.split(at_once)
        ]
        found.append(own.log() / 2 + 4)
    return torch.cat(found, -1)


def gradients(image_BHWC: Tensor) -> tuple[Tensor, Tensor]:
    """Of the mean of the channels, to the right and down, (B, H, W) each."""
    grey = reduce(torch.add, image_BHWC.unbind(-1)) / image_BHWC.shape[-1]
    return F.pad(grey.diff(dim=2), (0, 1)), F.pad(grey.diff(dim=1), (0, 0, 0, 1))


def _autocorrelation(gradient_BHW: Tensor, around_BHW: Tensor, lags_L2: Tensor, height: int) -> Tensor:
    """Means in each cell of a gradient times itself at some lags, (B, height / 4, W / 4, L); `around` is the gradient
    with a margin of `FAR` to the left, to the right and below."""
    width = gradient_BHW.shape[2]
    down = torch.arange(0, height, SIDE, device=lags_L2.device)[:, None, None] + lags_L2[:, 0]
    right = torch.arange(0, width, SIDE, device=lags_L2.device)[:, None] + lags_L2[:, 1] + FAR
    lines = []
    for row in range(0, SIDE, STRIDE):
        products = [
            gradient_BHW[:, row:height:SIDE, column::SIDE, None] * around_BHW[:, down + row, right + column]
            for column in range(0, SIDE, STRIDE)
        ]
        lines.append(products[0] + products[1])
    return (lines[0] + lines[1]) / (SIDE // STRIDE) ** 2

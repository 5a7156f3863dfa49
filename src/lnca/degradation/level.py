"""Defines the noise level: the standard deviation in 255ths, of brightness and of colour, as a smooth map."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .colour import UNIT_YCC, times

# Side of the map's squares in pixels.
CELL = 8
_BINOMIAL = torch.tensor([1.0, 4, 6, 4, 1]) / 16


def noise_level(noise_BCHW: Tensor) -> Tensor:
    """The local standard deviation of noise, (B, 2, ceil(H / 8), ceil(W / 8)) in 255ths.

    The first channel is that of brightness (Y of Rec. 601), the second that of colour (the root mean square of Cb and
    Cr), each divided by the norm of its weights: independent noise with standard deviation s in red, green and blue
    has level s in both. Noise with standard deviation s that is the same in the three channels, as in a grey picture,
    has levels 1.496 s (`colour.GREY_LEVEL`) and 0.

    The mean of squares is taken over a window of about 32 pixels: over squares of 8x8 pixels, then over squares with
    the weights 1 4 6 4 1.

    Args:
        noise_BCHW: (B, 3, H, W), the noisy picture minus the clean one, in [-1, 1].
    """
    squares = times(UNIT_YCC, noise_BCHW).square_()
    squares = F.avg_pool2d(squares, CELL, ceil_mode=True)
    power = torch.stack([squares[:, 0], squares[:, 1:].mean(1)], 1)
    for kernel in (_BINOMIAL.view(1, 1, 5, 1), _BINOMIAL.view(1, 1, 1, 5)):
        pads = (2, 2, 0, 0) if kernel.shape[3] == 5 else (0, 0, 2, 2)
        power = F.conv2d(F.pad(power, pads, mode="replicate"), kernel.expand(2, 1, -1, -1).to(power), groups=2)
    return power.sqrt() * 255

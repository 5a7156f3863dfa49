"""Defines the noise level: the standard deviation in 255ths, of brightness and of colour, as a smooth map.

Noise that a camera has interpolated and smoothed is correlated: its pixels vary little, but its coarse structure is
that of the stronger independent noise it was made from. A restorer sees the fine structure by itself; the coarse one it
cannot tell from the picture. So the level is measured on means over blocks of 4x4 pixels, times 4: the standard
deviation of independent noise that is as strong in coarse structures. On the photographs of PolyU, whose noise has a
standard deviation of 5, this level is about 11, and FFDNet, which expects independent noise, does best when it is told
10 to 12.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .colour import UNIT_YCC, times

# Side of the map's squares in pixels.
CELL = 8
# Side of the blocks whose means are measured.
BLOCK = 4
_BINOMIAL = torch.tensor([1.0, 4, 6, 4, 1]) / 16


def noise_level(noise_BCHW: Tensor) -> Tensor:
    """The local level of noise, (B, 2, ceil(H / 8), ceil(W / 8)) in 255ths: the standard deviation of its means over
    4x4 pixels, times 4.

    The first channel is that of brightness (Y of Rec. 601), the second that of colour (the root mean square of Cb and
    Cr), each divided by the norm of its weights: independent noise with standard deviation s in red, green and blue
    has level s in both. Noise with standard deviation s that is the same in the three channels, as in a grey picture,
    has levels 1.496 s (`colour.GREY_LEVEL`) and 0.

    Noise that is blurred by less than a pixel keeps most of the level it had. The mean of squares is taken over a
    window of about 32 pixels: over squares of 8x8 pixels, then over squares with the weights 1 4 6 4 1.

    Args:
        noise_BCHW: (B, 3, H, W), the noisy picture minus the clean one, in [-1, 1].
    """
    coarse = BLOCK * F.avg_pool2d(times(UNIT_YCC, noise_BCHW), BLOCK, ceil_mode=True)
    squares = F.avg_pool2d(coarse.square_(), CELL // BLOCK, ceil_mode=True)
    power = torch.stack([squares[:, 0], squares[:, 1:].mean(1)], 1)
    for kernel in (_BINOMIAL.view(1, 1, 5, 1), _BINOMIAL.view(1, 1, 1, 5)):
        pads = (2, 2, 0, 0) if kernel.shape[3] == 5 else (0, 0, 2, 2)
        power = F.conv2d(F.pad(power, pads, mode="replicate"), kernel.expand(2, 1, -1, -1).to(power), groups=2)
    return power.sqrt() * 255

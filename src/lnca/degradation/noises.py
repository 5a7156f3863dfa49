"""Noise in display values: independent noise, noise that is correlated in space and between colours, and film grain."""

import torch
from torch import Tensor

from .colour import YCC, times
from .draws import log_uniform, normal, uniform
from .filters import filtered, gaussians
from .jpeg import eight_bits

# Standard deviations of correlated noise, and of grain at mid-grey, in 255ths.
CORRELATED, GRAIN = (1.5, 45.0), (2.0, 22.0)


def gaussian_noise(image_BCHW: Tensor, sigma_B111: Tensor | float, draw: torch.Generator) -> Tensor:
    """Adds independent Gaussian noise, then rounds to 8 bits and clips, as in the usual tests of denoisers."""
    return eight_bits(image_BCHW + sigma_B111 * normal(image_BCHW.shape, draw))


def smooth_noise(height: int, width: int, deviation_BC: Tensor, draw: torch.Generator) -> Tensor:
    """Gaussian noise (B, C, H, W) with variance 1, blurred by a Gaussian with a standard deviation in pixels. Its
    autocorrelation is a Gaussian with sqrt(2) times that standard deviation."""
    kernels = gaussians(deviation_BC.flatten())
    more = kernels.shape[1] - 1
    noise = normal((*deviation_BC.shape, height + more, width + more), draw)
    return filtered(noise, kernels / kernels.norm(dim=1, keepdim=True))


def correlated_noise(image_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Adds correlated noise, like that of unknown cameras and programs; not clipped.

    Brightness and colour have their own standard deviations and widths (Gaussians of up to 1.3 and 3 pixels, wider for
    colour). The standard deviation grows or falls with the brightness of the picture.
    """
    batch, _, height, width = image_BCHW.shape
    brightness, widest = uniform(batch, 0, 1.3, draw), uniform(batch, 0, 3, draw)
    widths = torch.cat([brightness, *[torch.maximum(brightness, widest)] * 2], 1).flatten(1)
    noise = smooth_noise(height, width, widths, draw)
    noise[:, 1:] *= uniform(batch, 0, 1.8, draw)
    slope = uniform(batch, -0.8, 0.8, draw)
    deviation = log_uniform(batch, *CORRELATED, draw) / 255 * (1 + slope * (2 * times(YCC[:1], image_BCHW) - 1))
    return image_BCHW + deviation * times(_OPPONENT, noise)


# From noise in brightness and colour differences to colours: brightness noise is the same in each colour.
_OPPONENT = YCC.inverse() * torch.tensor([1.0, 0.5, 0.5])


def grain(image_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Adds film grain; not clipped.

    Independent grains that cover a share u of the film have the variance u (1 - u) (Newson, Delon,
    Galerne, "A stochastic film grain model for resolution-independent rendering", Computer Graphics Forum 2017): most
    at mid-grey, none at black and white. A scan blurs it; part of the grain differs between the colour layers.
    """
    batch, _, height, width = image_BCHW.shape
    widths = uniform(batch, 0.4, 1.2, draw).expand(-1, 4, 1, 1).flatten(1)
    common, own = smooth_noise(height, width, widths, draw).split((1, 3), 1)
    share = uniform(batch, 0, 0.8, draw)
    noise = (1 - share).sqrt() * common + share.sqrt() * own
    cover = image_BCHW.clamp(0, 1)
    return image_BCHW + log_uniform(batch, *GRAIN, draw) / 255 * 2 * (cover * (1 - cover)).sqrt() * noise

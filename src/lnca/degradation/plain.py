"""Gaussian noise as in papers on denoising, for training beside `mixture`: standard deviations up to 75, independent or
slightly blurred, on pictures without other degradations."""

import torch
from torch import Tensor

from .colour import GREY_LEVEL, grey, times
from .draws import chance, changed, normal, uniform
from .jpeg import eight_bits
from .level import noise_level
from .mixture import GREY, LARGEST_SIGMA, Degraded
from .noises import smooth_noise

# The standard deviation is u^1.3 times the largest one, so little noise is more frequent; share without noise.
TOWARDS_LITTLE, NONE = 1.3, 0.04
# Share that is blurred, standard deviations of the Gaussians in pixels; share with mixed colours, and how much.
BLURRED, WIDTHS = 0.4, (0.25, 1.45)
MIXED, MIXING = 0.3, 0.35
# Share that is rounded to 8 bits and clipped.
ROUNDED = 0.3


def plain_noise(clean_BCHW: Tensor, draw: torch.Generator) -> Degraded:
    """Adds Gaussian noise; some pictures become grey, with grey noise.

    For independent noise the level is the standard deviation that was drawn, else it is measured; clipping comes
    afterwards.

    Args:
        clean_BCHW: (B, 3, H, W) in [0, 1].
        draw: generator of all random numbers, on the pictures' device.
    """
    batch = len(clean_BCHW)
    sigma = LARGEST_SIGMA * uniform(batch, 0, 1, draw) ** TOWARDS_LITTLE
    sigma = torch.where(chance(batch, NONE, draw)[:, None, None, None], 0.0, sigma)
    greys, blurred, mixed = (chance(batch, share, draw) for share in (GREY, BLURRED, MIXED))
    mixed = mixed & ~greys
    noise = changed(normal(clean_BCHW.shape, draw), blurred, lambda some: _blurred(some, draw))
    noise = changed(noise, mixed, lambda some: _mixed(some, draw))
    noise = changed(noise, greys, lambda some: some[:, :1].expand_as(some)) * (sigma / 255)
    clean = changed(clean_BCHW, greys, grey)
    noisy = changed(clean + noise, chance(batch, ROUNDED, draw), eight_bits)

    level = noise_level(noise)
    told = sigma * torch.where(greys[:, None], level.new_tensor([GREY_LEVEL, 0]), level.new_ones(2))[..., None, None]
    independent = ~(blurred | mixed)[:, None, None, None]
    return Degraded(clean, noisy, torch.where(independent, told, level))


def _blurred(noise_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Replaces noise by blurred noise, with variance 1."""
    batch, channels, height, width = noise_BCHW.shape
    return smooth_noise(height, width, uniform(batch, *WIDTHS, draw).flatten(1).expand(-1, channels), draw)


def _mixed(noise_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Mixes the noise of the colours; the total power stays."""
    matrix = torch.eye(3, device=draw.device) + MIXING * normal((len(noise_BCHW), 3, 3), draw)
    matrix = matrix * (3**0.5 / matrix.square().sum((1, 2), keepdim=True).sqrt())
    return times(matrix, noise_BCHW)

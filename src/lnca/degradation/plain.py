"""Noise as papers on denoising have it, for training beside `mixture`: Gaussian of any deviation up to 75, independent
or blurred a little, over pictures that are clean before and not touched after."""

import torch
from torch import Tensor

from .colour import GREY_LEVEL, grey, times
from .draws import chance, changed, normal, uniform
from .jpeg import eight_bits
from .level import noise_level
from .mixture import GREY, LARGEST_SIGMA, Degraded
from .noises import smooth_noise

# Of the deviation: u^1.3 of the largest, so that little noise is more frequent; and the share that has none.
TOWARDS_LITTLE, NONE = 1.3, 0.04
# Share that is blurred, by Gaussians of such deviations in pixels; share whose colours are mixed, and by how much.
BLURRED, WIDTHS = 0.4, (0.25, 1.45)
MIXED, MIXING = 0.3, 0.35
# Share that is rounded to 8 bits and clipped.
ROUNDED = 0.3


def plain_noise(clean_BCHW: Tensor, draw: torch.Generator) -> Degraded:
    """Pictures with Gaussian noise, some of them made grey, with grey noise.

    The level is the deviation that was drawn where the noise is independent, and measured where it is not; clipping
    comes after that.

    Args:
        clean_BCHW: (B, 3, H, W) in [0, 1].
        draw: on the pictures' device; all that is random comes from it.
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
    """Other noise of variance 1, blurred, in the place of what is given."""
    batch, channels, height, width = noise_BCHW.shape
    return smooth_noise(height, width, uniform(batch, *WIDTHS, draw).flatten(1).expand(-1, channels), draw)


def _mixed(noise_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Each colour's noise with some of the others', of the same power over all."""
    matrix = torch.eye(3, device=draw.device) + MIXING * normal((len(noise_BCHW), 3, 3), draw)
    matrix = matrix * (3**0.5 / matrix.square().sum((1, 2), keepdim=True).sqrt())
    return times(matrix, noise_BCHW)

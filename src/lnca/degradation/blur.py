"""Motion blur and defocus of photographs, for training and comparing models.

Batched tensor operations from a seeded generator; each picture of a batch draws its own conditions.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .draws import uniform
from .jpeg import eight_bits, jpeg
from .noises import gaussian_noise

# JPEG quality of blurred pictures, and the probability that a picture is JPEG.
QUALITY, COMPRESSED = (60, 100), 0.4
# Probabilities: motion, motion and defocus, defocus, no blur.
BLURS = (0.65, 0.15, 0.1, 0.1)
LENGTHS, LARGEST_BEND, RADII = (3, 25), 0.9, (0.5, 2.0)
# Standard deviation of the noise of blurred pictures.
BLURRED_SIGMA = 4 / 255
# Side of a kernel; the longest motion and the largest disc fit into it.
KERNEL = 31


def motion_path(length_B: Tensor, angle_B: Tensor, bend_B: Tensor, size: int = KERNEL) -> Tensor:
    """Kernels (B, size, size) of a camera that moves at constant speed along an arc; each sums to 1.

    Args:
        length_B: length of the arc in pixels, >= 1.
        angle_B: direction in the middle of the arc, in radians.
        bend_B: angle by which the direction turns from beginning to end, in radians.
        size: side of the kernels, odd.
    """
    along = torch.linspace(-0.5, 0.5, 4 * size, device=length_B.device)
    direction = angle_B[:, None] + bend_B[:, None] * along
    path = torch.stack([direction.sin(), direction.cos()]).cumsum(-1) * ((length_B - 1)[:, None] / (len(along) - 1))
    path = path - path.mean(-1, keepdim=True)
    grid = torch.arange(size, device=length_B.device) - size // 2
    near_row, near_column = (1 - (path[..., None] - grid).abs()).clamp(min=0)
    kernels = torch.einsum("bpr,bpc->brc", near_row, near_column)
    return kernels / kernels.sum((1, 2), keepdim=True)


def discs(radius_B: Tensor, size: int = KERNEL) -> Tensor:
    """Kernels (B, size, size) of a lens out of focus, discs with a smooth edge; a radius of 0 blurs nothing."""
    grid = torch.arange(size, device=radius_B.device) - size // 2
    distance = (grid[:, None].square() + grid.square()).sqrt()
    kernels = (radius_B[:, None, None] + 0.5 - distance).clamp(0, 1)
    return kernels / kernels.sum((1, 2), keepdim=True)


def moved(image_BCHW: Tensor, draw: torch.Generator, length: float) -> Tensor:
    """Straight motion of a fixed length at any angle, and nothing else; see `photo_blur`."""
    return eight_bits(blurred_by(image_BCHW, straight_kernels(len(image_BCHW), draw, length)))


def straight_kernels(batch: int, draw: torch.Generator, length: float) -> Tensor:
    """The kernels (B, 31, 31) that `moved` draws."""
    angle = uniform(batch, 0, math.pi, draw).flatten()
    return motion_path(torch.full_like(angle, length), angle, torch.zeros_like(angle))


def photo_blur(image_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """The degradation of the task photo-deblur: motion of 3 to 25 pixels at any angle, straight or slightly bent, small
    defocus, both or none (`BLURS`); then noise and, for some pictures (`COMPRESSED`), JPEG of quality 60 to 100.

    Args:
        image_BCHW: (B, 3, H, W) in [0, 1]; padded by mirroring (`MARGINS`).
    """
    batch = len(image_BCHW)
    blurred = blurred_by(image_BCHW, photo_kernels(batch, draw))
    return _compressed(gaussian_noise(blurred, uniform(batch, 0, BLURRED_SIGMA, draw), draw), draw)


def photo_kernels(batch: int, draw: torch.Generator) -> Tensor:
    """The kernels (B, 31, 31) of `photo_blur`."""
    shares = torch.tensor(BLURS, device=draw.device)
    kind = torch.multinomial(shares, batch, replacement=True, generator=draw)

    def drawn(low: float, high: float) -> Tensor:
        return uniform(batch, low, high, draw).flatten()

    length = torch.where(kind < 2, drawn(*LENGTHS), 1.0)
    path = motion_path(length, drawn(0, math.pi), drawn(-LARGEST_BEND, LARGEST_BEND))
    focus = discs(torch.where((kind == 1) | (kind == 2), drawn(*RADII), 0.0))
    return F.conv2d(path[None], focus[:, None], padding=KERNEL // 2, groups=batch)[0]


def blurred_by(image_BCHW: Tensor, kernels_BKK: Tensor) -> Tensor:
    """Blurs each picture (B, C, H, W) with its own kernel, an odd square; borders are mirrored."""
    batch, channels = image_BCHW.shape[:2]
    padded = F.pad(image_BCHW, (KERNEL // 2,) * 4, mode="reflect").flatten(0, 1)[None]
    filters = kernels_BKK.flip(1, 2).repeat_interleave(channels, 0)[:, None]
    return F.conv2d(padded, filters, groups=batch * channels)[0].unflatten(0, (batch, channels))


def _compressed(image_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Compresses some of the pictures as JPEG, and rounds all to 8 bits."""
    low, high = QUALITY
    quality = uniform(len(image_BCHW), low, high, draw)
    kept = uniform(len(image_BCHW), 0, 1, draw) >= COMPRESSED
    return jpeg(image_BCHW, torch.where(kept, 100.0, quality))

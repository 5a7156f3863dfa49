"""What real photographs suffer from, for training and comparing models: a simple camera's noise, motion and defocus.

Like the paper's corruptions (`lnca.corruption`) these are batched tensor operations from a seeded generator; each
picture of a batch draws its own conditions. JPEG is Pillow's.
"""

import io
import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .corruption import masked_noise

PhotoTask = Literal["photo-denoise", "photo-deblur"]

GAMMA = 2.2
# Of pictures: noise of a camera, independent Gaussian noise, the paper's noise, and nothing but JPEG.
MIXTURE = (0.45, 0.4, 0.05, 0.1)
LARGEST_SIGMA = 55 / 255
# Variances of the shot noise of white.
SHOT = (1e-4, 0.012)
QUALITY = (60, 100)
# Of pictures that were JPEG.
COMPRESSED = 0.4
# Of pictures: moved, moved and out of focus, out of focus, and none of it.
BLURS = (0.65, 0.15, 0.1, 0.1)
LENGTHS, LARGEST_BEND, RADII = (3, 25), 0.9, (0.5, 2.0)
# Standard deviation of the noise of blurred pictures.
BLURRED_SIGMA = 4 / 255
# Side of a kernel, which holds the longest motion and the largest disc.
KERNEL = 31
# Pixels at the border of a degraded picture that are made of what is mirrored beyond it: to be cut off.
MARGINS: dict[PhotoTask, int] = {"photo-denoise": 0, "photo-deblur": 16}


def uniform(count: int, low: float, high: float, draw: torch.Generator) -> Tensor:
    """(count, 1, 1, 1) uniform numbers."""
    return low + (high - low) * torch.rand(count, 1, 1, 1, generator=draw, device=draw.device)


def gaussian_noise(image_BCHW: Tensor, sigma_B111: Tensor | float, draw: torch.Generator) -> Tensor:
    """Independent Gaussian noise, rounded to 8 bits and clipped, as BM3D's and others' benchmarks have it."""
    noise = torch.randn(image_BCHW.shape, generator=draw, device=draw.device)
    return eight_bits(image_BCHW + sigma_B111 * noise)


def eight_bits(image_BCHW: Tensor) -> Tensor:
    """Rounded to the values that a byte can hold."""
    return (image_BCHW.clamp(0, 1) * 255).round() / 255


def jpeg(image_BCHW: Tensor, quality_B: Tensor) -> Tensor:
    """Written and read as JPEG of some quality, 1 to 100; at 100 it is left as it is."""
    result = eight_bits(image_BCHW)
    for picture, quality in zip(result, quality_B.flatten().round().int().tolist(), strict=True):
        if quality >= 100:
            continue
        buffer = io.BytesIO()
        array = (picture * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(array).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer) as again:
            picture.copy_(torch.from_numpy(np.array(again)).permute(2, 0, 1) / 255)
    return result


def camera_noise(image_BCHW: Tensor, draw: torch.Generator, shot: tuple[float, float] = SHOT) -> Tensor:
    """Noise as a camera makes it (after Brooks et al., "Unprocessing Images for Learned Raw Denoising", CVPR 2019).

    The picture is taken back to linear light and the sensor's white balance, sampled by a Bayer pattern, given shot and
    read noise over a range of gains, interpolated bilinearly, and developed again.

    Args:
        image_BCHW: (B, 3, H, W) in [0, 1].
        shot: least and largest variance of the shot noise of white; the gain grows with it.
    """
    batch, _, height, width = image_BCHW.shape
    red, blue = 1 / uniform(batch, 1.2, 2.4, draw), 1 / uniform(batch, 1.2, 2.4, draw)
    balance = torch.cat([red, torch.ones_like(red), blue], 1)
    raw = image_BCHW**GAMMA * balance
    shot_log = uniform(batch, math.log(shot[0]), math.log(shot[1]), draw)
    read_log = 2.18 * shot_log + 1.2 + 0.26 * torch.randn(batch, 1, 1, 1, generator=draw, device=draw.device)
    variance = shot_log.exp() * raw + read_log.exp()
    raw = raw + variance.sqrt() * torch.randn(raw.shape, generator=draw, device=draw.device)
    pattern = _bayer(height, width, torch.randint(4, (batch,), generator=draw, device=draw.device))
    linear = (_interpolate(raw, pattern) / balance).clamp(0, 1)
    return linear ** (1 / GAMMA)


def _bayer(height: int, width: int, phase_B: Tensor) -> Tensor:
    """Which of red, green and blue each pixel measures, (B, 3, H, W) of 0 and 1; the phase shifts RGGB by 0 or 1 rows
    and columns."""
    row = (torch.arange(height, device=phase_B.device)[:, None] + (phase_B >> 1)[:, None, None]) % 2
    column = (torch.arange(width, device=phase_B.device) + (phase_B & 1)[:, None, None]) % 2
    red, blue = (row == 0) & (column == 0), (row == 1) & (column == 1)
    return torch.stack([red, row != column, blue], 1).float()


def _interpolate(raw_BCHW: Tensor, pattern_BCHW: Tensor) -> Tensor:
    """Bilinear interpolation: each colour's mean over the nearest pixels that measure it."""
    weights = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]], device=raw_BCHW.device)
    filters = weights.expand(3, 1, 3, 3)

    def summed(x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), filters, groups=3)

    return summed(raw_BCHW * pattern_BCHW) / summed(pattern_BCHW)


def photo_noise(image_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """What the task photo-denoise is trained on: a camera's noise, Gaussian noise of sigma 0 to 55, the paper's noise,
    or none (`MIXTURE`), some of all (`COMPRESSED`) then JPEG of quality 60 to 100.

    Args:
        image_BCHW: (B, 3, H, W) in [0, 1].
    """
    batch = len(image_BCHW)
    shares = torch.tensor(MIXTURE, device=draw.device)
    kind = torch.multinomial(shares, batch, replacement=True, generator=draw)[:, None, None, None]
    intensity = float(torch.rand((), generator=draw, device=draw.device))
    kinds = (
        camera_noise(image_BCHW, draw),
        gaussian_noise(image_BCHW, uniform(batch, 0, LARGEST_SIGMA, draw), draw),
        masked_noise(image_BCHW, intensity, draw),
    )
    result = image_BCHW
    for number, corrupted in enumerate(kinds):
        result = torch.where(kind == number, corrupted, result)
    return _compressed(result, draw)


def motion_path(length_B: Tensor, angle_B: Tensor, bend_B: Tensor, size: int = KERNEL) -> Tensor:
    """Kernels (B, size, size) of a camera that moves at constant speed along an arc; each sums to 1.

    Args:
        length_B: of the arc, in pixels, >= 1: as long as so many pixels in a row.
        angle_B: of its direction half-way, in radians.
        bend_B: by which the direction turns from its beginning to its end, in radians.
        size: odd.
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
    """Kernels (B, size, size) of a lens out of focus, discs with a smooth rim; a radius of 0 blurs nothing."""
    grid = torch.arange(size, device=radius_B.device) - size // 2
    distance = (grid[:, None].square() + grid.square()).sqrt()
    kernels = (radius_B[:, None, None] + 0.5 - distance).clamp(0, 1)
    return kernels / kernels.sum((1, 2), keepdim=True)


def moved(image_BCHW: Tensor, draw: torch.Generator, length: float) -> Tensor:
    """Straight motion of a fixed length at any angle, and nothing else; see `photo_blur`."""
    return eight_bits(blurred_by(image_BCHW, straight_kernels(len(image_BCHW), draw, length)))


def straight_kernels(batch: int, draw: torch.Generator, length: float) -> Tensor:
    """The kernels (B, 31, 31) that `moved` draws first."""
    angle = uniform(batch, 0, math.pi, draw).flatten()
    return motion_path(torch.full_like(angle, length), angle, torch.zeros_like(angle))


def photo_blur(image_BCHW: Tensor, draw: torch.Generator, kernels_BKK: Tensor | None = None) -> Tensor:
    """What the task photo-deblur is trained on: motion of 3 to 25 pixels at any angle, straight or gently bent, small
    defocus, both or none (`BLURS`); then noise, and some (`COMPRESSED`) then JPEG of quality 60 to 100.

    Args:
        image_BCHW: (B, 3, H, W) in [0, 1]; it is mirrored beyond its border (`MARGINS`).
        kernels_BKK: of the blur; those that `photo_kernels` draws first when None.
    """
    batch = len(image_BCHW)
    blurred = blurred_by(image_BCHW, photo_kernels(batch, draw) if kernels_BKK is None else kernels_BKK)
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
    """Pictures (B, C, H, W), mirrored beyond their border, each blurred by its own kernel, an odd square."""
    batch, channels = image_BCHW.shape[:2]
    padded = F.pad(image_BCHW, (KERNEL // 2,) * 4, mode="reflect").flatten(0, 1)[None]
    filters = kernels_BKK.flip(1, 2).repeat_interleave(channels, 0)[:, None]
    return F.conv2d(padded, filters, groups=batch * channels)[0].unflatten(0, (batch, channels))


def _compressed(image_BCHW: Tensor, draw: torch.Generator) -> Tensor:
    """Some of the pictures as JPEG; all with eight bits."""
    low, high = QUALITY
    quality = uniform(len(image_BCHW), low, high, draw)
    kept = uniform(len(image_BCHW), 0, 1, draw) >= COMPRESSED
    return jpeg(image_BCHW, torch.where(kept, 100.0, quality))


def degraded(image_BCHW: Tensor, task: PhotoTask, draw: torch.Generator) -> Tensor:
    """What a task's pictures suffer from; see `MARGINS`."""
    return {"photo-denoise": photo_noise, "photo-deblur": photo_blur}[task](image_BCHW, draw)

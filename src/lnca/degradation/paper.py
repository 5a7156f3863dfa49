"""The paper's corruptions (4.1) as batched tensor operations on the pictures' device, from a seeded generator.

Training uses them; `lnca.corruption` does the same for one picture in numpy.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ..corruption import NOISE_DEVIATION, Border, Task, check_intensity, check_length


def masked_noise(image_BCHW: Tensor, intensity: float, generator: torch.Generator) -> Tensor:
    """Channel-coherent Gaussian noise on a random part of the pixels.

    With probability `intensity` a pixel gets one N(0, 0.2) value, the same for all channels.

    Args:
        image_BCHW: pictures in [0, 1].
        intensity: share of the pixels with noise, in [0, 1].
        generator: on the pictures' device.

    Returns:
        Pictures of the same shape, clipped to [0, 1].

    Raises:
        LncaError: the intensity is outside [0, 1].
    """
    check_intensity(intensity)
    batch, _, height, width = image_BCHW.shape
    mask = image_BCHW.new_empty((batch, 1, height, width)).uniform_(generator=generator) < intensity
    noise = image_BCHW.new_empty((batch, 1, height, width)).normal_(0, NOISE_DEVIATION, generator=generator)
    return (image_BCHW + mask * noise).clamp(0, 1)


def motion_kernels(length: int, angles_B: Tensor) -> Tensor:
    """`lnca.corruption.motion_kernels` on the angles' device, of their data type."""
    size = 2 * math.ceil((length - 1) / 2) + 1
    along = torch.arange(length, device=angles_B.device, dtype=angles_B.dtype) - (length - 1) / 2
    columns = along * angles_B.cos()[:, None] + size // 2
    rows = along * angles_B.sin()[:, None] + size // 2
    grid = torch.arange(size, device=angles_B.device, dtype=angles_B.dtype)
    near_row = (1 - (rows[:, :, None] - grid).abs()).clamp(min=0)
    near_column = (1 - (columns[:, :, None] - grid).abs()).clamp(min=0)
    kernels = torch.einsum("bpr,bpc->brc", near_row, near_column)
    return kernels / kernels.sum((1, 2), keepdim=True)


def motion_blur(image_BCHW: Tensor, length: int, generator: torch.Generator, border: Border = "zero") -> Tensor:
    """Camera motion blur: each picture is averaged along a line of its own random direction.

    Args:
        image_BCHW: pictures in [0, 1].
        length: length of the line in pixels, >= 1.
        generator: on the pictures' device.
        border: "zero" darkens the border, as in the authors' pictures; "reflect" does not.

    Raises:
        LncaError: the length is below 1, or larger than the pictures' shorter side.
    """
    batch, channels, height, width = image_BCHW.shape
    check_length(length, height, width)
    angles = math.pi * torch.rand(batch, generator=generator, device=image_BCHW.device, dtype=image_BCHW.dtype)
    kernels = motion_kernels(length, angles)
    margin = kernels.shape[-1] // 2
    mode = "constant" if border == "zero" else "reflect"
    padded = F.pad(image_BCHW, (margin,) * 4, mode=mode)
    filters = kernels.repeat_interleave(channels, 0)[:, None]
    blurred = F.conv2d(padded.reshape(1, batch * channels, *padded.shape[-2:]), filters, groups=batch * channels)
    return blurred.reshape(batch, channels, height, width).clamp(0, 1)


def corrupt(image_BCHW: Tensor, task: Task, difficulty: float, generator: torch.Generator) -> Tensor:
    """The paper's corruption of a task: masked noise of an intensity, or motion blur of a length (with dark
    borders)."""
    if task == "denoise":
        return masked_noise(image_BCHW, difficulty, generator)
    return motion_blur(image_BCHW, int(difficulty), generator)

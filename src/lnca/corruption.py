"""The paper's corruptions (4.1) of one picture, in numpy, and their difficulty.

`lnca.degradation.paper` has them for batches of tensors in training; its random numbers are different.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .errors import LncaError

NOISE_DEVIATION = 0.2

Task = Literal["denoise", "deblur"]
Border = Literal["zero", "reflect"]

# Intensity and length in the paper's validation and test (4.1).
PAPER_DIFFICULTY: dict[Task, float] = {"denoise": 0.5, "deblur": 7}


def masked_noise(image_HWC: np.ndarray, intensity: float, generator: np.random.Generator) -> np.ndarray:
    """Channel-coherent Gaussian noise on a random part of the pixels.

    With probability `intensity` a pixel gets one N(0, 0.2) value, the same for all channels.

    Args:
        image_HWC: a picture (H, W, 3), float32 in [0, 1].
        intensity: share of the pixels with noise, in [0, 1].

    Returns:
        The same shape, float32, clipped to [0, 1].

    Raises:
        LncaError: the intensity is outside [0, 1].
    """
    check_intensity(intensity)
    shape = (*image_HWC.shape[:2], 1)
    mask = generator.random(shape, np.float32) < intensity
    noise = NOISE_DEVIATION * generator.standard_normal(shape, np.float32)
    return (image_HWC + mask * noise).clip(0, 1)


def motion_kernels(length: int, angles_B: np.ndarray) -> np.ndarray:
    """Line kernels (B, K, K), float64, of `length` pixels at the given angles in radians; each sums to 1, K is odd.

    The line is `length` points one pixel apart, each spread bilinearly over the four pixels around it.
    """
    size = 2 * math.ceil((length - 1) / 2) + 1
    along = np.arange(length) - (length - 1) / 2
    grid = np.arange(size) - size // 2
    rows, columns = (along * turn(angles_B)[:, None] for turn in (np.sin, np.cos))
    near_row, near_column = ((1 - abs(place[:, :, None] - grid)).clip(min=0) for place in (rows, columns))
    kernels = near_row.transpose(0, 2, 1) @ near_column
    return kernels / kernels.sum((1, 2), keepdims=True)


def motion_blur(
    image_HWC: np.ndarray, length: int, generator: np.random.Generator, border: Border = "zero"
) -> np.ndarray:
    """Camera motion blur: a picture is averaged along a line of random direction.

    Args:
        image_HWC: a picture (H, W, 3), float32 in [0, 1].
        length: pixels of the line, >= 1.
        border: "zero" darkens the border, as in the authors' pictures; "reflect" does not.

    Returns:
        The same shape, float32, clipped to [0, 1].

    Raises:
        LncaError: the length is below 1, or larger than the picture's shorter side.
    """
    height, width = image_HWC.shape[:2]
    check_length(length, height, width)
    kernel = motion_kernels(length, math.pi * generator.random(1))[0]
    margin = len(kernel) // 2
    pads = ((margin, margin), (margin, margin), (0, 0))
    padded = np.pad(image_HWC, pads, mode="constant" if border == "zero" else "reflect")
    blurred = np.zeros_like(image_HWC)
    for row, column in zip(*kernel.nonzero(), strict=True):
        blurred += np.float32(kernel[row, column]) * padded[row : row + height, column : column + width]
    return blurred.clip(0, 1)


def check_intensity(intensity: float) -> None:
    """Raises an LncaError for an intensity outside [0, 1]."""
    if not 0 <= intensity <= 1:
        raise LncaError(f"the intensity of noise should lie between 0 and 1, got {intensity:g}")


def check_length(length: int, height: int, width: int) -> None:
    """Raises an LncaError for a length below 1, or longer than the shorter side."""
    if not 1 <= length <= min(height, width):
        raise LncaError(
            f"the length of a blur should lie between 1 and the picture's shorter side ({width}x{height}), got {length}"
        )


@dataclass(frozen=True)
class Curriculum:
    """Difficulty of a task's corruption in the course of training (paper 4.2).

    Args:
        start, end: bounds during training: intensity in [0, 1], or length in pixels.
        slope: the difficulty is `slope * epoch / epochs`, clipped to [start, end].
        test: difficulty at validation and test (0.5 and 7 in the paper).
    """

    start: float
    end: float
    slope: float
    test: float

    def difficulty(self, epoch: int, epochs: int) -> float:
        """Difficulty in epoch 0, 1, ..., `epochs` - 1."""
        return min(max(self.slope * epoch / epochs, self.start), self.end)

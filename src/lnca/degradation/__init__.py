"""Degradations of real photographs, for training and comparing models: noise, compression, motion and defocus.

Like the paper's corruptions (`lnca.degradation.paper`) these are batched tensor operations on pictures (B, 3, H, W) in
[0, 1]. All random numbers come from one seeded generator; each picture of a batch draws its own conditions.
"""

from typing import Literal

from .blur import (
    KERNEL,
    LENGTHS,
    blurred_by,
    discs,
    motion_path,
    moved,
    photo_blur,
    photo_kernels,
    straight_kernels,
)
from .colour import recoloured
from .drawings import drawing
from .draws import uniform
from .jpeg import eight_bits, jpeg
from .level import noise_level
from .mixture import Degraded, camera
from .noises import gaussian_noise
from .plain import plain_noise
from .sensor import camera_noise

PhotoTask = Literal["photo-denoise", "photo-deblur"]

# Pixels at the border of a degraded picture without complete context, which are to be cut off.
MARGINS: dict[PhotoTask, int] = {"photo-denoise": 8, "photo-deblur": 16}


__all__ = [
    "KERNEL",
    "LENGTHS",
    "MARGINS",
    "Degraded",
    "PhotoTask",
    "blurred_by",
    "camera",
    "camera_noise",
    "discs",
    "drawing",
    "eight_bits",
    "gaussian_noise",
    "jpeg",
    "motion_path",
    "moved",
    "noise_level",
    "photo_blur",
    "photo_kernels",
    "plain_noise",
    "recoloured",
    "straight_kernels",
    "uniform",
]

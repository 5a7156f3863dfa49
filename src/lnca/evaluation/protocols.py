"""Protocols for comparing denoisers: Gaussian noise as in papers and as in files of 8 bits, and the scores.

Pictures are float64 in [0, 1], (H, W, 3) or (H, W); noise levels (sigma) are standard deviations in 255ths.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .. import metrics
from ..randomness import derive
from .photographs import HIGHEST_PSNR

SIGMAS = (15, 25, 50)


@dataclass(frozen=True)
class Protocol:
    """The input of a method.

    Args:
        clipped: the noisy picture is clipped and rounded to 8 bits, as in a file; otherwise the noise stays as drawn.
        told: the method knows sigma.
    """

    clipped: bool
    told: bool


PROTOCOLS = {
    "papers": Protocol(clipped=False, told=True),
    "users": Protocol(clipped=True, told=False),
    "users, told": Protocol(clipped=True, told=True),
}


def bytes_of(picture: np.ndarray) -> np.ndarray:
    """The picture clipped to [0, 1] and rounded to uint8."""
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def noisy(clean: np.ndarray, sigma: int, clipped: bool, *key: int | str) -> np.ndarray:
    """A picture with independent Gaussian noise; the noise is the same with and without clipping, and for every method.

    Args:
        clean: uint8.
        sigma: standard deviation of the noise.
        clipped: clip and round to 8 bits.
        key: names such as those of set and picture; key, sigma and the shape of the picture determine the noise.
    """
    draw = np.random.default_rng(derive("judges", sigma, *key))
    picture = clean / 255 + draw.normal(0, sigma / 255, clean.shape)
    return bytes_of(picture) / 255 if clipped else picture


def score(restored: np.ndarray, clean: np.ndarray) -> tuple[float, float]:
    """PSNR in dB (at most 60) and SSIM of a restored picture, clipped and rounded to 8 bits as in papers.

    Args:
        restored: float, the values of the picture.
        clean: uint8, of the same shape.
    """
    ours, truth = (_tensor(x) for x in (bytes_of(restored), clean))
    psnr = metrics.psnr(ours.double(), truth.double()).item()
    return min(psnr, HIGHEST_PSNR), metrics.ssim(ours, truth).item()


def _tensor(picture: np.ndarray) -> torch.Tensor:
    planes = picture[..., None] if picture.ndim == 2 else picture
    return torch.from_numpy(planes.copy()).permute(2, 0, 1)[None].float() / 255

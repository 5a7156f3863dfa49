"""SSIM and PSNR of pictures (paper 4.3, reference 27), and recovered SSIM.

`ssim_of` and `psnr_of` take arrays and use numpy. `ssim` and `psnr` take batches of tensors, for training and
evaluation, and use torchmetrics; calling them imports torchmetrics and torch.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import LncaError

if TYPE_CHECKING:
    from torch import Tensor

WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
# Rows that `ssim_of` works on at a time, few enough for the CPU's cache.
_BAND = 16


def _functional() -> Any:
    # Imported here, so that restoring does not wait for it.
    import torchmetrics.functional.image as functional

    return functional


def ssim(image_BCHW: Tensor, reference_BCHW: Tensor) -> Tensor:
    """Structural similarity of each picture, (B,), equations (10) and (11), for values in [0, 1].

    An 11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03; mean over channels and over the positions where the window
    lies inside the picture.

    Raises:
        LncaError: a side is shorter than the window.
    """
    _check_size(*image_BCHW.shape[-2:])
    _, everywhere = _functional().structural_similarity_index_measure(
        image_BCHW,
        reference_BCHW,
        gaussian_kernel=True,
        sigma=SIGMA,
        kernel_size=WINDOW,
        data_range=1.0,
        k1=K1,
        k2=K2,
        reduction="none",
        return_full_image=True,
    )
    rim = WINDOW // 2
    return everywhere[..., rim:-rim, rim:-rim].mean((1, 2, 3))


def psnr(image_BCHW: Tensor, reference_BCHW: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, (B,), for values in [0, 1]; infinite for equal pictures."""
    import torch

    ratio = _functional().peak_signal_noise_ratio(
        image_BCHW, reference_BCHW, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return torch.as_tensor(ratio)


def ssim_of(image_HWC: np.ndarray, reference_HWC: np.ndarray) -> float:
    """`ssim` of one picture (H, W, 3), floating point in [0, 1]; computed in float64.

    Raises:
        LncaError: a side is shorter than the window.
    """
    height, width, channels = image_HWC.shape
    _check_size(height, width)
    rows, columns = height - WINDOW + 1, width - WINDOW + 1
    total = 0.0
    for top in range(0, rows, _BAND):
        band = slice(top, min(top + _BAND, rows) + WINDOW - 1)
        for channel in range(channels):
            a, b = (x[band, :, channel].astype(np.float64) for x in (image_HWC, reference_HWC))
            total += _similarity(a, b).sum()
    return float(total / (rows * columns * channels))


def psnr_of(image_HWC: np.ndarray, reference_HWC: np.ndarray) -> float:
    """`psnr` of one picture (H, W, 3), floating point in [0, 1], in dB; computed in float64."""
    difference = np.subtract(image_HWC, reference_HWC, dtype=np.float64)
    error = float(np.vdot(difference, difference)) / difference.size
    return -10 * math.log10(error) if error > 0 else math.inf


def _check_size(height: int, width: int) -> None:
    if min(height, width) < WINDOW:
        raise LncaError(f"SSIM needs pictures of at least {WINDOW}x{WINDOW} pixels")


def _similarity(a_HW: np.ndarray, b_HW: np.ndarray) -> np.ndarray:
    """SSIM at every position where the window lies inside the picture, (H - 10, W - 10)."""
    mean_a, mean_b, product, squares = map(_means, (a_HW, b_HW, a_HW * b_HW, a_HW**2 + b_HW**2))
    means, power = mean_a * mean_b, mean_a**2 + mean_b**2
    luminance = (2 * means + K1**2) / (power + K1**2)
    return luminance * (2 * (product - means) + K2**2) / (squares - power + K2**2)


def _means(values_HW: np.ndarray) -> np.ndarray:
    """Means under the Gaussian window, (H - 10, W - 10): along columns, then along rows."""
    weights = np.exp(-np.square(np.arange(WINDOW) - WINDOW // 2) / (2 * SIGMA**2))
    weights /= weights.sum()
    rows, columns = values_HW.shape[0] - WINDOW + 1, values_HW.shape[1] - WINDOW + 1
    down = sum(weight * values_HW[i : i + rows] for i, weight in enumerate(weights))
    return sum(weight * down[:, i : i + columns] for i, weight in enumerate(weights))


def recovered(output: float, corrupted: float) -> float:
    """Recovered SSIM, (SSIM_out - SSIM_in) / (1 - SSIM_in): 0 for no gain, 1 for the clean picture."""
    return (output - corrupted) / (1 - corrupted)

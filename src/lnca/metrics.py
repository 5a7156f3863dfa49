"""SSIM and PSNR a picture (paper 4.3, reference 27), from torchmetrics, and recovered SSIM."""

from typing import Any

import torch
from torch import Tensor

from .errors import LncaError

WINDOW = 11


def _functional() -> Any:
    # Whoever only restores pictures does not wait for this.
    import torchmetrics.functional.image as functional

    return functional


def ssim(image_BCHW: Tensor, reference_BCHW: Tensor) -> Tensor:
    """Structural similarity of each picture, (B,), equations (10) and (11), for values in [0, 1].

    An 11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03; mean over channels and over the positions where the window
    lies inside the picture.

    Raises:
        LncaError: a side shorter than the window.
    """
    if min(image_BCHW.shape[-2:]) < WINDOW:
        raise LncaError(f"SSIM needs pictures of at least {WINDOW}x{WINDOW} pixels")
    _, everywhere = _functional().structural_similarity_index_measure(
        image_BCHW, reference_BCHW, gaussian_kernel=True, sigma=1.5, kernel_size=WINDOW, data_range=1.0,
        k1=0.01, k2=0.03, reduction="none", return_full_image=True,
    )  # fmt: skip
    rim = WINDOW // 2
    return everywhere[..., rim:-rim, rim:-rim].mean((1, 2, 3))


def psnr(image_BCHW: Tensor, reference_BCHW: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, (B,), for values in [0, 1]; infinite for equal pictures."""
    ratio = _functional().peak_signal_noise_ratio(
        image_BCHW, reference_BCHW, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return torch.as_tensor(ratio)


def recovered(output: float, corrupted: float) -> float:
    """Recovered SSIM, (SSIM_out - SSIM_in) / (1 - SSIM_in): 0 for no gain, 1 for the clean picture."""
    return (output - corrupted) / (1 - corrupted)

"""Gaussians and resampling of rows and columns, of their own widths for each picture."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussians(deviation_N: Tensor) -> Tensor:
    """Kernels (N, K) of Gaussians, K odd and the same for all; each sums to 1.

    Args:
        deviation_N: in pixels; at 0 nothing is blurred.
    """
    radius = math.ceil(3 * float(deviation_N.max()))
    grid = torch.arange(-radius, radius + 1, device=deviation_N.device)
    weights = (grid.square() / (-2 * deviation_N.clamp(min=0.05)[:, None].square())).exp()
    return weights / weights.sum(1, keepdim=True)


def filtered(image_BCHW: Tensor, kernels_NK: Tensor) -> Tensor:
    """Rows and columns of each channel of each picture, N = B C of them, by a kernel of its own, without a border: as
    many pixels less as the kernel is long, less one."""
    flat = image_BCHW.flatten(0, 1)[None]
    flat = F.conv2d(flat, kernels_NK[:, None, None, :], groups=len(kernels_NK))
    flat = F.conv2d(flat, kernels_NK[:, None, :, None], groups=len(kernels_NK))
    return flat[0].unflatten(0, image_BCHW.shape[:2])


def blurred(image_BCHW: Tensor, deviation_BC: Tensor) -> Tensor:
    """Gaussian blur, of a deviation in pixels for each picture and channel; mirrored beyond the border."""
    kernels = gaussians(deviation_BC.flatten())
    radius = kernels.shape[1] // 2
    return filtered(F.pad(image_BCHW, (radius,) * 4, mode="reflect"), kernels)


def resamplings(size: int, factor_N: Tensor, centre_N: Tensor, cubic: bool) -> Tensor:
    """Matrices (N, size, size) that enlarge a line, or reduce it and fill the rest with what is mirrored at its ends.

    Args:
        factor_N: of the size, above 0; below 1 the kernel is widened against aliases.
        centre_N: the place on the line, in [0, 1], that stays.
        cubic: Keys' kernel with a = -0.5 (1981); else a triangle.
    """
    grid = torch.arange(size, device=factor_N.device)
    fixed = centre_N[:, None] * (size - 1)
    place = (grid - fixed) / factor_N[:, None] + fixed
    period = 2 * size
    place = (place + 0.5) % period
    place = torch.minimum(place, period - place) - 0.5
    distance = (place[:, :, None] - grid).abs() * factor_N.clamp(max=1)[:, None, None]
    weights = _keys(distance) if cubic else (1 - distance).clamp(min=0)
    return weights / weights.sum(2, keepdim=True)


def resampled(image_BCHW: Tensor, rows_BHH: Tensor, columns_BWW: Tensor) -> Tensor:
    """Columns of pixels multiplied by the first matrix of each picture, rows by the second."""
    return rows_BHH[:, None] @ image_BCHW @ columns_BWW.mT[:, None]


def _keys(distance: Tensor) -> Tensor:
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))

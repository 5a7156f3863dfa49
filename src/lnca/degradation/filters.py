"""Gaussian filters and resampling of rows and columns, with a width of its own for each picture."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussians(deviation_N: Tensor) -> Tensor:
    """Kernels (N, K) of Gaussians, K odd and the same for all; each sums to 1.

    Args:
        deviation_N: standard deviations in pixels; 0 blurs nothing.
    """
    radius = math.ceil(3 * float(deviation_N.max()))
    grid = torch.arange(-radius, radius + 1, device=deviation_N.device)
    weights = (grid.square() / (-2 * deviation_N.clamp(min=0.05)[:, None].square())).exp()
    return weights / weights.sum(1, keepdim=True)


def filtered(image_BCHW: Tensor, kernels_NK: Tensor) -> Tensor:
    """Filters rows and columns of each of the N = B C channels with its own kernel, without padding: the result is
    smaller by the length of the kernel less one."""
    flat = image_BCHW.flatten(0, 1)[None]
    flat = F.conv2d(flat, kernels_NK[:, None, None, :], groups=len(kernels_NK))
    flat = F.conv2d(flat, kernels_NK[:, None, :, None], groups=len(kernels_NK))
    return flat[0].unflatten(0, image_BCHW.shape[:2])


def blurred(image_BCHW: Tensor, deviation_BC: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation in pixels for each picture and channel; borders are mirrored."""
    kernels = gaussians(deviation_BC.flatten())
    radius = kernels.shape[1] // 2
    return filtered(F.pad(image_BCHW, (radius,) * 4, mode="reflect"), kernels)


def resamplings(size: int, factor_N: Tensor, centre_N: Tensor, cubic: bool) -> Tensor:
    """Matrices (N, size, size) that enlarge a line, or shrink it and fill the rest by mirroring at its ends.

    Args:
        factor_N: scaling factor, above 0; below 1 a wider kernel avoids aliasing.
        centre_N: position on the line, in [0, 1], that stays in place.
        cubic: use Keys' kernel with a = -0.5 (1981), else a triangle.
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
    """Multiplies the columns of each picture by its first matrix, and the rows by its second."""
    return rows_BHH[:, None] @ image_BCHW @ columns_BWW.mT[:, None]


def _keys(distance: Tensor) -> Tensor:
    near = (1.5 * distance - 2.5) * distance.square() + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))

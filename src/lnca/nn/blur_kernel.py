"""The blur kernel of a photograph, estimated from the photograph alone.

Coarse to fine, two estimates take turns: the sharp picture with the fewest gradients that the kernel so far explains
(Xu, Zheng and Jia, "Unnatural L0 sparse representation for natural image deblurring", CVPR 2013; solved by
half-quadratic splitting), and the kernel that turns its edges into those of the photograph, by least squares in closed
form (Cho and Lee, "Fast motion deblurring", SIGGRAPH Asia 2009).

Shape suffixes: H rows, W columns, K a kernel's rows and columns.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from .fourier import periodic, quick_margin, spectrum

# Those of the coarsest scale, and from one scale to the next.
COARSEST, RATIO = 5, 2**-0.5
# Turns on each scale.
TURNS = 5
# Price of a gradient at the beginning, by which it falls each turn, and its least.
PRICE, CHEAPER, LEAST_PRICE = 4e-3, 1.1, 1e-4
# Weight of the split gradients: it is doubled from twice the price up to this.
STIFFEST = 1e5
# Weight of the kernel's own energy in the least squares.
ENERGY = 2.0
# Of a kernel's largest value: what is less is noise. Of its sum: patches that hold less are noise too.
FAINT, SMALL = 1 / 20, 0.1


class Gradients(NamedTuple):
    """Differences to the next column and row of a picture whose borders meet, (H, W)."""

    across: Tensor
    down: Tensor


def gradients(picture_HW: Tensor) -> Gradients:
    """Of a picture whose borders meet."""
    return Gradients(picture_HW.roll(-1, 1) - picture_HW, picture_HW.roll(-1, 0) - picture_HW)


def few_gradients(picture_HW: Tensor, kernel_KK: Tensor, price: float) -> Tensor:
    """The x that makes |k * x - y|^2 + price * (pixels with a gradient) small, y being the picture (Xu et al. 2013,
    equations 6 to 10, as Pan et al. 2014 solve it)."""
    shape = picture_HW.shape
    blur = spectrum(kernel_KK[None], *shape)[0, 0]
    difference = picture_HW.new_zeros(2, *shape)
    difference[:, 0, 0] = -1
    difference[0, 0, -1] = difference[1, -1, 0] = 1
    of_gradients = torch.fft.rfft2(difference).abs().square().sum(0)
    told, power = blur.conj() * torch.fft.rfft2(picture_HW), blur.abs().square()
    sharp, weight = picture_HW, 2 * price
    while weight < STIFFEST:
        across, down = gradients(sharp)
        kept = across.square() + down.square() >= price / weight
        across, down = across * kept, down * kept
        divergence = across.roll(1, 1) - across + down.roll(1, 0) - down
        total = (told + weight * torch.fft.rfft2(divergence)) / (power + weight * of_gradients)
        sharp = torch.fft.irfft2(total, s=shape)
        weight *= 2
    return sharp


def least_squares(sharp_HW: Tensor, picture_HW: Tensor, side: int, border: int) -> Tensor:
    """The kernel (side, side) that best turns the gradients of a sharp picture into those of a blurred one (Cho and Lee
    2009, equation 8), not yet without negative values.

    Args:
        border: pixels on each side that are not looked at.
    """
    inside = torch.zeros_like(picture_HW)
    inside[border:-border, border:-border] = 1
    sharp = [torch.fft.rfft2(part * inside) for part in gradients(sharp_HW)]
    given = [torch.fft.rfft2(part * inside) for part in gradients(picture_HW)]
    power = sharp[0].abs().square() + sharp[1].abs().square()
    own = torch.fft.irfft2(power, s=picture_HW.shape)
    cross = torch.fft.irfft2(sharp[0].conj() * given[0] + sharp[1].conj() * given[1], s=picture_HW.shape)
    offset = torch.arange(side, device=picture_HW.device) - side // 2
    row, column = (part.flatten() for part in torch.meshgrid(offset, offset, indexing="ij"))
    # Not every device has float64.
    matrix = own[row[:, None] - row, column[:, None] - column].cpu().double()
    matrix.diagonal().add_(ENERGY)
    kernel = torch.linalg.solve(matrix, cross[row, column].cpu().double())
    return kernel.float().view(side, side).to(picture_HW.device)


def tidied(kernel_KK: Tensor) -> Tensor:
    """A kernel without negative and faint values and small patches, of sum 1; that of no blur where nothing is left."""
    kernel = kernel_KK * (kernel_KK > kernel_KK.max() * FAINT)
    if not kernel.max() > 0:
        return unblurred(len(kernel), kernel)
    total = kernel.sum()
    for patch in patches(kernel > 0):
        if kernel[patch].sum() < SMALL * total:
            kernel = torch.where(patch, 0, kernel)
    return kernel / kernel.sum() if kernel.max() > 0 else unblurred(len(kernel), kernel)


def patches(mask_KK: Tensor) -> list[Tensor]:
    """The connected parts of a mask, diagonal neighbours included, one mask each."""
    found, left = [], mask_KK.clone()
    while left.any():
        part = torch.zeros_like(left)
        part.view(-1)[left.flatten().int().argmax()] = True
        while True:
            grown = F.max_pool2d(part[None, None].float(), 3, 1, 1)[0, 0].bool() & left
            if torch.equal(grown, part):
                break
            part = grown
        found.append(part)
        left &= ~part
    return found


def unblurred(side: int, like: Tensor) -> Tensor:
    """The kernel (side, side) of no blur."""
    kernel = torch.zeros(side, side, dtype=like.dtype, device=like.device)
    kernel[side // 2, side // 2] = 1
    return kernel


def centred(kernel_KK: Tensor) -> Tensor:
    """Moved by whole pixels so that its centre of gravity is in the middle: a blur is known but for its place."""
    middle = torch.arange(len(kernel_KK), device=kernel_KK.device) - len(kernel_KK) // 2
    shift = [-round(((kernel_KK.sum(1 - axis) * middle).sum() / kernel_KK.sum()).item()) for axis in (0, 1)]
    return kernel_KK.roll(shift, (0, 1))


def estimate_kernel(picture_HW: Tensor, side: int) -> Tensor:
    """The blur kernel (side, side) of a photograph: not negative, of sum 1, its centre of gravity in the middle.

    Args:
        picture_HW: brightness in [0, 1]; sides above three times `side`.
        side: odd; what is longer is not found.
    """
    scales = max(1, math.floor(math.log(COARSEST / side, RATIO)) + 1)
    kernel, price = None, PRICE
    for scale in reversed(range(scales)):
        size = max(3, math.ceil(side * RATIO**scale) // 2 * 2 + 1)
        size = side if scale == 0 else size
        given = picture_HW if scale == 0 else _shrunk(picture_HW, RATIO**scale)
        given = periodic(given[None, None], *(quick_margin(length, size) for length in given.shape))[0, 0]
        if kernel is None:
            kernel = torch.zeros(size, size, device=given.device)
            kernel[size // 2, size // 2 : size // 2 + 2] = 0.5
        else:
            kernel = _resized(kernel, size)
        for _ in range(TURNS):
            sharp = few_gradients(given, kernel, price)
            kernel = tidied(least_squares(sharp, given, size, size))
            price = max(price / CHEAPER, LEAST_PRICE)
        kernel = centred(kernel)
    assert kernel is not None
    return tidied(kernel)


def _shrunk(picture_HW: Tensor, factor: float) -> Tensor:
    size = [round(side * factor) for side in picture_HW.shape]
    return F.interpolate(picture_HW[None, None], size=size, mode="bilinear", antialias=True)[0, 0]


def _resized(kernel_KK: Tensor, side: int) -> Tensor:
    kernel = F.interpolate(kernel_KK[None, None], size=(side, side), mode="bicubic")[0, 0].clamp(min=0)
    return kernel / kernel.sum()

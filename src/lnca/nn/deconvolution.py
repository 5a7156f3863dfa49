"""Deconvolution with a blur kernel for every cell, unrolled: the part of a decoder that undoes a motion blur.

The cells agree on how the picture was blurred; the decoder then solves for the picture that, blurred so, is the one
that was given, by a fixed number of accelerated gradient steps (FISTA, Beck and Teboulle, SIAM J. Imaging Sci. 2009)
whose step sizes and momenta are learned (Gregor and LeCun, "Learning Fast Approximations of Sparse Coding", ICML 2010).
All of it is local.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..corruption import motion_kernels

# Pictures (B, H, W, C) and kernels (B, H / 4, W / 4, taps), one for each 4x4 pixels -> blurred pictures.
Blur = Callable[[Tensor, Tensor], Tensor]

SIDE = 4


def blur(image_BHWC: Tensor, kernels_BhwT: Tensor) -> Tensor:
    """Each block of 4x4 pixels is blurred by its own kernel, an odd square, row by row; beyond the border is zero.
    Pictures (B, H, W, C) -> the same."""
    batch, height, width, channels = image_BHWC.shape
    rows, columns, taps = kernels_BhwT.shape[1:]
    side = math.isqrt(taps)
    flat = F.unfold(image_BHWC.permute(0, 3, 1, 2), side, padding=side // 2)
    patches = flat.view(batch, channels, taps, rows, SIDE, columns, SIDE)
    return torch.einsum("bcthiwj,bhwt->bhiwjc", patches, kernels_BhwT).reshape(batch, height, width, channels)


class Deconvolution(nn.Module):
    """x = argmin |y - A x|^2, unrolled, where A blurs every cell with its own mixture of a bank of kernels.

    Args:
        kernels: in the bank; they start as lines at so many angles.
        length: of the lines in pixels; the kernels' side is the next odd number.
        iterations: gradient steps.

    Attributes:
        blur: a faster way to blur, which `lnca.kernels` has.
    """

    def __init__(self, kernels: int, length: int, iterations: int):
        super().__init__()
        angles = math.pi * torch.arange(kernels) / kernels
        self.bank = nn.Parameter(motion_kernels(length, angles).flatten(1))
        # Nesterov's momenta, and as long a step as a blur allows.
        times = [1.0]
        for _ in range(iterations):
            times.append((1 + math.sqrt(1 + 4 * times[-1] ** 2)) / 2)
        self.momenta = nn.Parameter(torch.tensor([(a - 1) / b for a, b in pairwise(times)]))
        self.rates = nn.Parameter(torch.ones(iterations))
        self.blur: Blur = blur

    def kernels(self, scores_BKhw: Tensor) -> Tensor:
        """Each cell's kernel, (B, h, w, taps), from its scores of the bank's kernels (B, K, h, w)."""
        shares = scores_BKhw.permute(0, 2, 3, 1).to(self.bank.dtype).softmax(-1)
        # Rounded to bfloat16 a kernel is too rough to be inverted.
        with torch.autocast(shares.device.type, enabled=False):
            return shares @ self.bank

    def forward(self, image_BCHW: Tensor, scores_BKhw: Tensor) -> Tensor:
        """The blurred picture (B, C, H, W) in [0, 1] and scores -> the sharp one, in [0, 1]."""
        kernels = self.kernels(scores_BKhw)
        # Lines are symmetric, so that A is nearly its own transpose; where kernels change from cell to cell it is not.
        turned = kernels.flip(-1)
        given = image_BCHW.permute(0, 2, 3, 1).contiguous()
        x = ahead = given
        for rate, momentum in zip(self.rates, self.momenta, strict=True):
            better = (ahead + rate * self.blur(given - self.blur(ahead, kernels), turned)).clamp(0, 1)
            ahead, x = better + momentum * (better - x), better
        return x.permute(0, 3, 1, 2)

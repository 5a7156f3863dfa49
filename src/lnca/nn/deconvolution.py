"""Deconvolution with a blur kernel for every cell, unrolled: the part of a decoder that undoes a motion blur.

The cells agree on how the picture was blurred; the decoder then solves for the picture that, blurred so, is the one
that was given, by a fixed number of accelerated gradient steps (FISTA, Beck and Teboulle, SIAM J. Imaging Sci. 2009)
whose step sizes and momenta are learned (Gregor and LeCun, "Learning Fast Approximations of Sparse Coding", ICML 2010).
All of it is local.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..corruption import motion_kernels

SIDE = 4
FEW_TAPS = 25 * 25
FEWEST_ANGLES = 4

# What lies beyond a picture: nothing, or its outermost pixels again.
Border = Literal["zero", "nearest"]


class Blur(Protocol):
    """Pictures (B, H, W, C) and kernels (B, H / 4, W / 4, taps), one for each 4x4 pixels -> blurred pictures."""

    def __call__(self, image_BHWC: Tensor, kernels_BhwT: Tensor, border: Border = "zero") -> Tensor: ...


def margined(image_BHWC: Tensor, margin: int, border: Border, more: int = 0) -> Tensor:
    """A picture with a margin around it, and `more` zeros on the right."""
    if border == "zero":
        return F.pad(image_BHWC, (0, 0, margin, margin + more, margin, margin)).contiguous()
    around = F.pad(image_BHWC[:, None], (0, 0, margin, margin, margin, margin), mode="replicate")[:, 0]
    return F.pad(around, (0, 0, 0, more)).contiguous()


def blur(image_BHWC: Tensor, kernels_BhwT: Tensor, border: Border = "zero") -> Tensor:
    """Each block of 4x4 pixels is blurred by its own kernel, an odd square, row by row.
    Pictures (B, H, W, C) -> the same."""
    batch, channels = image_BHWC.shape[0], image_BHWC.shape[-1]
    rows, columns, taps = kernels_BhwT.shape[1:]
    side = math.isqrt(taps)
    planes = margined(image_BHWC, side // 2, border).permute(3, 0, 1, 2)
    if torch.compiler.is_exporting():
        return _blurred_by_taps(planes.transpose(0, 1), kernels_BhwT)
    # What a cell's pixels are made of: its own picture, which its own filter goes over.
    around, cells = side + SIDE - 1, batch * rows * columns
    flat = F.unfold(planes.flatten(0, 1)[:, None], around, stride=SIDE)
    patches = flat.view(channels, batch, around, around, rows, columns).movedim((4, 5), (2, 3))
    filters = kernels_BhwT.reshape(cells, 1, side, side)
    blurred = F.conv2d(patches.reshape(channels, cells, around, around), filters, groups=cells)
    return blurred.view(channels, batch, rows, columns, SIDE, SIDE).permute(1, 2, 4, 3, 5, 0).reshape(image_BHWC.shape)


def _blurred_by_taps(planes_BCHW: Tensor, kernels_BhwT: Tensor) -> Tensor:
    """The same from pictures with margins, for graphs, whose convolutions cannot have as many filters as there are
    cells: small kernels at once, large ones row by row."""
    batch, channels = planes_BCHW.shape[:2]
    rows, columns, taps = kernels_BhwT.shape[1:]
    side = math.isqrt(taps)
    lines = side if taps <= FEW_TAPS else 1
    found = []
    for first in range(0, side, lines):
        strip = planes_BCHW[:, :, first : first + rows * SIDE + lines - 1]
        patches = F.unfold(strip, (lines, side)).view(batch, channels, lines * side, rows, SIDE, columns, SIDE)
        some = kernels_BhwT[..., first * side : (first + lines) * side]
        found.append(torch.einsum("bcthiwj,bhwt->bhiwjc", patches, some))
    return torch.stack(found).sum(0).reshape(batch, rows * SIDE, columns * SIDE, channels)


def line_bank(angles: int, lengths: Sequence[int]) -> Tensor:
    """Kernels (K, taps) of straight motions: lines of each of these lengths in pixels, the longest at so many angles,
    shorter ones at as many as put the ends of neighbours equally far apart, but at least `FEWEST_ANGLES`; their side is
    the next odd number of the longest. With several lengths there is one kernel more, which leaves the picture as it
    is."""
    fewest, longest = min(angles, FEWEST_ANGLES), max(lengths)
    counts = [max(fewest, round(angles * (length - 1) / max(longest - 1, 1))) for length in lengths]
    kernels = [
        motion_kernels(length, math.pi * torch.arange(count) / count)
        for length, count in zip(lengths, counts, strict=True)
    ]
    kernels += [torch.ones(1, 1, 1)] if len(lengths) > 1 else []
    side = max(kernel.shape[-1] for kernel in kernels)
    return torch.cat([F.pad(k, 4 * [(side - k.shape[-1]) // 2]) for k in kernels]).flatten(1)


class Mixtures(nn.Module):
    """Blurs of cells, each a mixture of a bank's kernels.

    Args:
        bank: (K, taps), see `line_bank`; a parameter.
        border: what a blurred picture was made of beyond its border.

    Attributes:
        side: of the kernels.
        blur: a faster way to blur, which `lnca.kernels` has.
    """

    def __init__(self, bank: nn.Parameter, border: Border):
        super().__init__()
        self.bank = bank
        self.side, self.border = math.isqrt(bank.shape[1]), border
        self.blur: Blur = blur

    def shares(self, scores_BKhw: Tensor) -> Tensor:
        """Of the bank's kernels in each cell's, (B, h, w, K), from its scores (B, K or more, h, w)."""
        return scores_BKhw[:, : len(self.bank)].permute(0, 2, 3, 1).to(self.bank.dtype).softmax(-1)

    def kernels(self, scores_BKhw: Tensor) -> Tensor:
        """Each cell's kernel, (B, h, w, taps), from its scores."""
        # Rounded to bfloat16 a kernel is too rough to be inverted.
        with torch.autocast(scores_BKhw.device.type, enabled=False):
            return self.shares(scores_BKhw) @ self.bank


class Deconvolution(Mixtures):
    """x = argmin |y - A x|^2, unrolled, where A blurs every cell with its own mixture of a bank of kernels.

    Args:
        angles, lengths: the bank's kernels start as those of `line_bank`; with several lengths they are not learned.
        iterations: gradient steps.
        border: as of `Mixtures`.

    Attributes:
        pictures: that there are of each: one.
    """

    def __init__(self, angles: int, lengths: Sequence[int], iterations: int, border: Border = "zero"):
        # Hundreds of taps, each of which an optimizer moves by as much as it moves any weight, are not learned.
        super().__init__(nn.Parameter(line_bank(angles, lengths), requires_grad=len(lengths) == 1), border)
        # Nesterov's momenta, and as long a step as a blur allows.
        times = [1.0]
        for _ in range(iterations):
            times.append((1 + math.sqrt(1 + 4 * times[-1] ** 2)) / 2)
        self.momenta = nn.Parameter(torch.tensor([(a - 1) / b for a, b in pairwise(times)]))
        self.rates = nn.Parameter(torch.ones(iterations))
        self.pictures = 1

    @property
    def inputs(self) -> int:
        """Channels of the scores: of each kernel."""
        return len(self.bank)

    @property
    def reach(self) -> int:
        """Pixels that a result depends on to either side."""
        return 2 * (self.side // 2) * len(self.rates)

    def forward(self, image_BCHW: Tensor, scores_BKhw: Tensor) -> Tensor:
        """The blurred picture (B, C, H, W) in [0, 1] and scores -> the sharp one, in [0, 1]."""
        kernels = self.kernels(scores_BKhw)
        # Lines are symmetric, so that A is nearly its own transpose; where kernels change from cell to cell it is not.
        turned = kernels.flip(-1)
        given = image_BCHW.permute(0, 2, 3, 1).contiguous()
        x = ahead = given
        for rate, momentum in zip(self.rates, self.momenta, strict=True):
            missing = given - self.blur(ahead, kernels, self.border)
            better = (ahead + rate * self.blur(missing, turned, self.border)).clamp(0, 1)
            ahead, x = better + momentum * (better - x), better
        return x.permute(0, 3, 1, 2)

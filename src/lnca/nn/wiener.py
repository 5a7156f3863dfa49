"""Wiener filters for every cell: the part of a decoder that undoes the blur of a photograph.

The filter that gives back a blurred picture with the least mean square error is the blur's spectrum over its square
and the ratio of noise to signal (Wiener, "Extrapolation, Interpolation, and Smoothing of Stationary Time Series",
1949). It is found for each cell anew, over a window of a few times the blur's length: all of it is local.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .deconvolution import SIDE, Border, Mixtures, line_bank

# Ratios of noise to signal that filters begin with: one for what is certain, one for what is not.
NOISES = (0.005, 0.05)
# By which a cell may move the logarithm of these.
FURTHEST = 4


class WienerFilters(Mixtures):
    """Pictures filtered as their cells say that they were blurred, once for each of `NOISES`, and their mean, with the
    given one, by how far the cells trust each.

    A cell's blur is a mixture of a bank of kernels, each the same when it is turned by half a turn, so that spectra
    are real. With K the blur's spectrum and n the ratio of noise to signal the filter is K (1 + n) / (K^2 + n), which
    leaves as it is what was not blurred: noise is not its business.

    Args:
        angles, lengths: of the bank, see `line_bank`.
        window: odd; side of the filters and period of the spectra, in pixels.
        border: what lies beyond the picture.
    """

    def __init__(self, angles: int, lengths: Sequence[int], window: int, border: Border = "nearest"):
        if window % 2 == 0 or window < 3:
            raise ValueError(f"a window must be odd and at least 3, got {window}")
        super().__init__(nn.Parameter(symmetric(line_bank(angles, lengths)), requires_grad=False), border)
        self.window = window
        self.noises = nn.Parameter(torch.tensor(NOISES).log())

    @property
    def pictures(self) -> int:
        """That there are of each: the mean, and the filtered ones."""
        return 1 + len(self.noises)

    @property
    def inputs(self) -> int:
        """Channels of the scores: of each kernel, one that moves the logarithm of the noise, and of the given picture
        and each filtered one in the mean."""
        return len(self.bank) + 2 + len(self.noises)

    @property
    def reach(self) -> int:
        """Pixels that a result depends on to either side."""
        return self.window // 2

    def products(self) -> list[Tensor]:
        """What is multiplied by, on the way from shares to filters.

        The bank's spectra, (K, frequencies^2), with cosines and with sines in both directions, whose difference and sum
        are the spectrum at frequencies of the same and of opposite signs; then cosines and sines, (frequencies,
        pixels), of which all but the first frequency stand for their negatives too.
        """
        ahead = torch.arange(self.window // 2 + 1, device=self.bank.device, dtype=torch.float64)
        turns = 2 * math.pi / self.window * ahead[:, None] * ahead
        counted = torch.full_like(ahead[:, None], 2 / self.window)
        counted[0] = 1 / self.window
        bank, middle = self.bank.detach().double().unflatten(1, (self.side, self.side)), self.side // 2
        spectra, waves = [], []
        for wave, sign in ((turns.cos(), 1), (turns.sin(), -1)):
            whole = torch.cat([sign * wave[:, 1 : middle + 1].flip(1), wave[:, : middle + 1]], 1)
            spectra.append(torch.einsum("kyx,uy,vx->kuv", bank, whole, whole).flatten(1))
            waves.append(counted * wave)
        return [each.to(self.bank.dtype) for each in (*spectra, *waves)]

    def filters(self, scores_BKhw: Tensor) -> list[Tensor]:
        """For each of the noises a filter of each cell, (B, h, w, window^2), which sums to 1."""
        with torch.autocast(scores_BKhw.device.type, enabled=False):
            moved = scores_BKhw[:, len(self.bank), ..., None].to(self.bank.dtype)
            return self.inverted(self.shares(scores_BKhw), moved, self.times())

    def times(self) -> list[Callable[[Tensor], Tensor]]:
        """Multiply by the `products`."""
        return [partial(_times, matrix) for matrix in self.products()]

    def inverted(self, shares: Tensor, moved: Tensor, times: Sequence[Callable[[Tensor], Tensor]]) -> list[Tensor]:
        """`filters`, from shares (B, h, w, K) and what moves the logarithm of the noise (B, h, w, 1).

        Args:
            times: as `times` gives them, or faster ones.
        """
        *_, times_cosine, times_sine = times
        found = []
        for response in self.responses(shares, moved, times):
            same, opposite = response.unflatten(-1, 2 * (self.window // 2 + 1,)).unbind(-3)
            even = times_cosine(times_cosine((same + opposite) / 2).mT).mT
            odd = times_sine(times_sine((same - opposite) / 2).mT).mT
            found.append(_whole(even - odd, even + odd))
        return found

    def responses(self, shares: Tensor, moved: Tensor, times: Sequence[Callable[[Tensor], Tensor]]) -> Iterator[Tensor]:
        """The spectra of `inverted`, (B, h, w, 2, frequencies^2): at frequencies of the same and of opposite signs."""
        times_cosines, times_sines, *_ = times
        both, neither = times_cosines(shares), times_sines(shares)
        K = torch.stack([both - neither, both + neither], -2)
        limited = FURTHEST * (moved[..., None] / FURTHEST).tanh()
        for level in self.noises:
            noise = (level + limited).exp()
            yield K * (1 + noise) / (K.square() + noise)

    def forward(self, image_BCHW: Tensor, scores_BKhw: Tensor) -> Tensor:
        """The blurred picture (B, C, H, W) and scores (B, `inputs`, H / 4, W / 4) -> the mean and the filtered ones,
        one behind the other, (B, `pictures` C, H, W)."""
        given = image_BCHW.permute(0, 2, 3, 1).contiguous()
        filtered = [self.blur(given, each, self.border) for each in self.filters(scores_BKhw)]
        trust = scores_BKhw[:, len(self.bank) + 1 :].permute(0, 2, 3, 1).to(given.dtype)
        return with_mean(given, filtered, trust).permute(0, 3, 1, 2)


def with_mean(given_BHWC: Tensor, filtered_BHWC: Sequence[Tensor], trust_BhwN: Tensor) -> Tensor:
    """The mean of all pictures, in each cell by its scores of them, and behind it the filtered ones, (B, H, W, N C)."""
    shares = trust_BhwN.softmax(-1).repeat_interleave(SIDE, 1).repeat_interleave(SIDE, 2)
    mean = shares[..., :1] * given_BHWC
    for number, each in enumerate(filtered_BHWC, 1):
        mean = mean + shares[..., number : number + 1] * each
    return torch.cat([mean, *filtered_BHWC], -1)


def symmetric(kernels_NT: Tensor) -> Tensor:
    """The nearest kernels, squares row by row, that are the same when turned by half a turn."""
    return (kernels_NT + kernels_NT.flip(1)) / 2


def spectrum(kernels_BKK: Tensor, window: int) -> Tensor:
    """Of kernels, odd squares, at the frequencies of `WienerFilters.responses`: complex, (B, 2, frequencies^2)."""
    middle = kernels_BKK.shape[-1] // 2
    placed = F.pad(kernels_BKK, (0, window - kernels_BKK.shape[-1]) * 2).roll((-middle, -middle), (1, 2))
    ahead = torch.arange(window // 2 + 1, device=kernels_BKK.device)
    rows = torch.fft.fft2(placed)[:, ahead]
    return torch.stack([rows[..., ahead], rows[..., -ahead % window]], 1).flatten(2)


def shares_of_frequencies(window: int) -> tuple[Tensor, Tensor]:
    """What each of these frequencies stands for among all: (2, frequencies^2), which sums to 1; and the mean square of
    what differs between neighbours, |1 - e^iu|^2 + |1 - e^iv|^2, of a wave of each."""
    ahead = torch.arange(window // 2 + 1)
    times = torch.where(ahead > 0, 2.0, 1.0)
    differs = 4 * (math.pi * ahead / window).sin().square()
    stands = (times[:, None] * times / (2 * window**2)).flatten().expand(2, -1)
    return stands, (differs[:, None] + differs).flatten().expand(2, -1)


def _times(matrix: Tensor, x: Tensor) -> Tensor:
    return x @ matrix


def _whole(lower_right: Tensor, lower_left: Tensor) -> Tensor:
    """Two quarters (..., P, P) of filters, counted from the middle -> whole ones (..., (2 P - 1)^2), symmetric by half
    a turn."""
    lower = torch.cat([lower_left[..., 1:].flip(-1), lower_right], -1)
    return torch.cat([lower[..., 1:, :].flip(-2, -1), lower], -2).flatten(-2)

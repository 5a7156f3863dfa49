"""Deblurring: a kernel, told or estimated, and rounds in which a filter undoes it and the cells clean what it leaves.

The picture x that explains the blurred one, y = k * x + noise, and is at the same time a good photograph is found by
half-quadratic splitting: in the Fourier domain the x nearest to both, then the automaton's word on how x should look
(Zhang, Li, Zuo, Zhang, Van Gool and Timofte, "Plug-and-play image restoration with deep denoiser prior", TPAMI 2022).
The cells are those of `PyramidAutomaton`, which are told at which noise level to look: a high one first, then less.

Shape suffixes: B batch, C channels, H rows, W columns, K a kernel's rows and columns, L noise levels, h and w cells of
8x8 pixels.
"""

import math
from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .blur_kernel import estimate_kernel, unblurred
from .fourier import blurred, periodic, quick_margin, spectrum
from .model import SteppedModel
from .pyramid import PyramidAutomaton

# Picture and noise level in 255ths -> what the cells make of it.
Cells = Callable[[Tensor, float], Tensor]

# Noise level in 255ths of the first round.
FIRST_LEVEL = 25.0
# The least one that is counted with: eight bits, and a kernel that is never quite right.
QUIETEST = 1.5
# An estimated kernel is an error more.
ESTIMATED = 1.3
# How often in a round the pixels beyond the border are filled in anew.
FILLS = 3
# How much the filter trusts the cells (lambda of Zhang et al. 2022).
TRUST = 0.23
# Rounds of a restoration.
ROUNDS = 3
LUMA = (0.299, 0.587, 0.114)
# Cycles a pixel, of rows and columns both, from which on a blurred picture holds little but noise; sides below the
# second hold too few of them.
CORNER, FEWEST = 0.4, 32
# Rows and columns of the part of a picture in which its kernel is looked for, and of the squares it is chosen by.
LOOK, SQUARE = 512, 32
# The longest shakes that are looked for; what explains the picture best is taken.
SIDES = (13, 31)
# An estimate counts in full up to a misfit of the first and the second times the noise level, and not at all from so
# many times that on. Pictures that were sharp have more, at their edges.
FITS, FITS_NOISE, MISSES = 0.8, 0.15, 1.6
# Where the strongest edges (the steepest twentieth) rise by less a pixel, nothing tells a blur, and none is taken away.
FLAT = 2 / 255
STEEPEST = 0.95
# Where the restored picture differs from the given one by a root mean square of less than the first, in 255ths, there
# is little to win and a good picture to lose: nothing is done; from the second on it counts in full.
LITTLE, ENOUGH = 6.5, 8.0
# A kernel with so much of its sum in its middle 3x3 pixels is taken for no blur: there is little to win, and a sharp
# picture to lose.
SHARP = 0.85


class Blur(NamedTuple):
    """What is known of a picture's blur: the kernel (K, L), how far it is to be trusted, 0 to 1, and the noise level in
    255ths that is counted with."""

    kernel: Tensor
    trust: float
    level: float

    def as_array(self) -> np.ndarray:
        """The kernel that blurs as much as is to be trusted, float32."""
        if self.trust == 1:
            return self.kernel.cpu().numpy()
        return torch.lerp(unblurred(len(self.kernel), self.kernel), self.kernel, self.trust).cpu().numpy()


def rounds(image_BCHW: Tensor, kernel_BKK: Tensor, level: float, count: int, cells: Cells) -> Iterator[Tensor]:
    """Yields the picture after 0, 1, ..., `count` rounds.

    Args:
        image_BCHW: blurred, (B, 3, H, W) in [0, 1].
        kernel_BKK: (B or 1, K, K), of sum 1, no side larger than the picture's.
        level: standard deviation of its noise in 255ths.
        cells: see `Cells`.
    """
    yield image_BCHW
    margins = [quick_margin(side, max(kernel_BKK.shape[-2:])) for side in image_BCHW.shape[-2:]]
    padded = periodic(image_BCHW, *margins)
    height, width = padded.shape[-2:]
    inner = (..., slice(margins[0], height - margins[0]), slice(margins[1], width - margins[1]))
    blur = spectrum(kernel_BKK.to(image_BCHW), height, width)
    power = blur.abs().square()
    cleaned, told = padded, torch.fft.rfft2(padded)
    for current in schedule(level, count):
        weight = TRUST * (level / current) ** 2
        looks = weight * torch.fft.rfft2(cleaned)
        for _ in range(FILLS):
            sharp = (blur.conj() * told + looks) / (power + weight)
            # Of what lies beyond the border nothing is known but what the sharp picture says.
            filled = torch.fft.irfft2(blur * sharp, s=(height, width))
            filled[inner] = image_BCHW
            told = torch.fft.rfft2(filled)
        cleaned = cells(torch.fft.irfft2(sharp, s=(height, width)), current)
        yield cleaned[inner]


def trusted_rounds(image_BCHW: Tensor, blur: Blur, count: int, cells: Cells) -> Iterator[Tensor]:
    """`rounds`, mixed with the given picture as far as its kernel is not to be trusted."""
    if blur.trust == 0:
        yield from (image_BCHW for _ in range(count + 1))
        return
    for restored in rounds(image_BCHW, blur.kernel[None], blur.level, count, cells):
        yield torch.lerp(image_BCHW, restored, blur.trust)


def schedule(level: float, count: int) -> list[float]:
    """The noise levels in 255ths that the cells are told in each round: from `FIRST_LEVEL` down to the picture's own,
    by equal factors."""
    first = max(FIRST_LEVEL, level)
    return [first * (level / first) ** (step / max(1, count - 1)) for step in range(count)]


class Deblurrer(SteppedModel):
    """Takes a picture, and its blur kernel and noise level, which it estimates where none is given.

    Args:
        channels, rules: of the cells; see `PyramidAutomaton`.
        steps: rounds at validation and test.
    """

    takes_noise_level = True
    takes_kernel = True

    def __init__(self, channels: tuple[int, int, int] = (64, 80, 96), rules: int = 3, steps: int = ROUNDS):
        super().__init__(steps)
        self.cells = PyramidAutomaton(channels, rules)

    def clean(self, image_BCHW: Tensor, level: float) -> Tensor:
        """A picture as the cells see it at a noise level in 255ths."""
        return self.cells(image_BCHW, noise_level=image_BCHW.new_full((1, 2, 1, 1), level))

    def forward(
        self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0, noise_level: Tensor | None = None,
        kernel: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Image (B, 3, H, W), sides >= 8 -> image of the same shape, in [0, 1].

        Args:
            image_BCHW: in [0, 1].
            steps: rounds; `self.steps` when None.
            seed: has no meaning here.
            noise_level: as of `PyramidAutomaton.forward`; its mean brightness counts.
            kernel: (K, K) or (B, K, K), not negative, of sum 1; estimated when None.
        """
        steps = self.steps if steps is None else steps
        for restored in self.frames(image_BCHW, steps, seed, (steps,), noise_level, kernel):
            return restored
        raise AssertionError

    def frames(
        self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0, only: Container[int] | None = None,
        noise_level: Tensor | None = None, kernel: Tensor | None = None,
    ) -> Iterator[Tensor]:  # fmt: skip
        """Otherwise as `forward`."""
        batch, steps = len(image_BCHW), self.steps if steps is None else steps
        levels = self.levels(image_BCHW) if noise_level is None else noise_level
        kernels = [None] * batch if kernel is None else list(kernel.expand(batch, -1, -1))
        pictures = zip(image_BCHW.split(1), levels.expand(batch, -1, -1, -1).split(1), kernels, strict=True)
        parts = [list(self._frames_of(image, level_of(level), told, steps)) for image, level, told in pictures]
        for step, frames in enumerate(zip(*parts, strict=True)):
            if only is None or step in only:
                yield torch.cat(frames).clamp(0, 1)

    def _frames_of(self, image_BCHW: Tensor, level: float, kernel: Tensor | None, steps: int) -> Iterator[Tensor]:
        blur = self.estimate(image_BCHW, level) if kernel is None else Blur(kernel, 1.0, level)
        return trusted_rounds(image_BCHW, blur, steps, self.clean)

    def levels(self, image_BCHW: Tensor) -> Tensor:
        """The noise levels (B, 2, H / 8, W / 8) that pictures themselves tell."""
        levels = self.cells.estimator(self.cells.pad(image_BCHW))
        parts = [part_to_look_at(image) for image in image_BCHW.split(1)]
        return torch.cat([quieted(level, part) for level, part in zip(levels.split(1), parts, strict=True)])

    def estimate(self, image_BCHW: Tensor, level: float) -> Blur:
        """The blur of one picture (1, 3, H, W)."""
        return estimated(part_to_look_at(image_BCHW), level, self.clean)


def part_to_look_at(image_BCHW: Tensor) -> Tensor:
    """Of one picture, (1, 3, H, W)."""
    top, left = where_to_look(edges(brightness(image_BCHW)[0]), *image_BCHW.shape[-2:])
    return image_BCHW[..., top : top + LOOK, left : left + LOOK]


def quieted(level_BLhw: Tensor, part_BCHW: Tensor) -> Tensor:
    """Estimated levels of one picture, all of them lowered until their mean is what the spectrum of a part of it tells:
    the estimator takes texture for noise, and a blurred picture is known better."""
    mean = float(level_BLhw[:, 0].mean())
    told = spectral_level(brightness(part_BCHW)[0]) / math.hypot(*LUMA)
    return level_BLhw * min(1.0, told / mean) if mean > 0 else level_BLhw


def spectral_level(picture_HW: Tensor) -> float:
    """Standard deviation in 255ths of the noise of a blurred picture: what is in the corners of its spectrum, where a
    blur leaves nothing of a picture. The power of noise is distributed exponentially, with log(2) of its mean as its
    median."""
    if min(picture_HW.shape) < FEWEST:
        return math.inf
    window = torch.ones_like(picture_HW)
    for dimension, side in enumerate(picture_HW.shape):
        hann = torch.hann_window(side, periodic=False, dtype=picture_HW.dtype, device=picture_HW.device)
        window = window * (hann[:, None] if dimension == 0 else hann)
    power = torch.fft.fft2((picture_HW - picture_HW.mean()) * window).abs().square() / window.square().sum()
    rows, columns = (torch.fft.fftfreq(side).abs() > CORNER for side in picture_HW.shape)
    corner = power[rows.to(power.device)][:, columns.to(power.device)]
    return 255 * float((corner.median() / math.log(2)).sqrt())


def level_of(level_BLhw: Tensor) -> float:
    """The one noise level in 255ths that is counted with in the whole picture."""
    return max(float(level_BLhw[:, 0].mean()), QUIETEST)


def brightness(image_BCHW: Tensor) -> Tensor:
    """(B, H, W) of colours."""
    return torch.einsum("bchw,c->bhw", image_BCHW, image_BCHW.new_tensor(LUMA))


def estimated(image_BCHW: Tensor, level: float, cells: Cells) -> Blur:
    """The blur of a part of a picture, (1, 3, H, W), among kernels of several sides; none where the part is flat, or
    too small for the least of them.

    Args:
        level: standard deviation of its noise in 255ths.
    """
    picture, counted = brightness(image_BCHW)[0], level * ESTIMATED
    found, least = Blur(unblurred(SIDES[-1], picture), 0.0, counted), math.inf
    if steepness(picture).flatten().quantile(STEEPEST) < FLAT:
        return found
    for side in [side for side in SIDES if min(picture.shape) > 3 * side]:
        kernel = estimate_kernel(picture, side)
        *_, sharp = rounds(image_BCHW, kernel[None], counted, ROUNDS, cells)
        error = misfit(brightness(sharp)[0], picture, kernel)
        if error < least:
            padded = F.pad(kernel, ((SIDES[-1] - side) // 2,) * 4)
            change = 255 * float((sharp - image_BCHW).square().mean().sqrt())
            least, found = error, Blur(padded, trust(kernel, error, level, change), counted)
    return found


def trust(kernel_KK: Tensor, error: float, level: float, change: float) -> float:
    """How far an estimated kernel is to be trusted, 0 to 1.

    Args:
        error: its misfit, in 255ths.
        level: standard deviation of the picture's noise, in 255ths.
        change: root mean square of what it changes in the picture, in 255ths.
    """
    middle = len(kernel_KK) // 2
    if kernel_KK[middle - 1 : middle + 2, middle - 1 : middle + 2].sum() > SHARP:
        return 0.0
    fits = FITS + FITS_NOISE * level
    explains, matters = (MISSES - error / fits) / (MISSES - 1), (change - LITTLE) / (ENOUGH - LITTLE)
    return min(max(min(explains, matters), 0.0), 1.0)


def misfit(sharp_HW: Tensor, picture_HW: Tensor, kernel_KK: Tensor) -> float:
    """By how much a sharp picture, blurred again, misses the given one at its strongest edges, in 255ths: the root mean
    square of means over 3x3 pixels, in which there is little noise."""
    side = max(kernel_KK.shape)
    again = blurred(periodic(sharp_HW[None, None], side, side), kernel_KK[None])[0, 0, side:-side, side:-side]
    smooth = F.avg_pool2d(torch.stack([again - picture_HW, picture_HW])[:, None], 3, 1)[:, 0, side:-side, side:-side]
    missed, given = smooth
    steep = steepness(given)
    strongest = steep >= steep.flatten().quantile(STEEPEST)
    return 255 * float(missed[1:, 1:][strongest].square().mean().sqrt())


def steepness(picture_HW: Tensor) -> Tensor:
    """How much a picture rises a pixel, (H - 1, W - 1)."""
    across, down = picture_HW[1:, 1:] - picture_HW[1:, :-1], picture_HW[1:, 1:] - picture_HW[:-1, 1:]
    return (across.square() + down.square()).sqrt()


def edges(picture_HW: Tensor) -> Tensor:
    """Sums of the gradients of each whole square of 32x32 pixels, each gradient counted up to a tenth of white."""
    rows, columns = (side // SQUARE for side in picture_HW.shape)
    squares = (
        picture_HW[: rows * SQUARE, : columns * SQUARE].unflatten(0, (rows, SQUARE)).unflatten(2, (columns, SQUARE))
    )
    across, down = squares.diff(dim=3).abs().clamp(max=0.1), squares.diff(dim=1).abs().clamp(max=0.1)
    return across.sum((1, 3)) + down.sum((1, 3))


def where_to_look(edges: Tensor, height: int, width: int) -> tuple[int, int]:
    """Top and left of the part of a picture, at most `LOOK` pixels high and wide, with the strongest edges; the first
    of equals."""
    if (height <= LOOK and width <= LOOK) or not edges.numel():
        return 0, 0
    sums = F.avg_pool2d(edges[None, None], [min(LOOK // SQUARE, side) for side in edges.shape], 1)[0, 0]
    row, column = divmod(int(sums.flatten().argmax()), sums.shape[1])
    return row * SQUARE if height > LOOK else 0, column * SQUARE if width > LOOK else 0

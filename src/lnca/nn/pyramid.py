"""An automaton on three lattices, for photographs: cells of 2x2, 4x4 and 8x8 pixels, and a noise level as an input.

A step updates every lattice once, from coarse to fine. On each lattice the cells first get messages from the next finer
lattice (details) and from the next coarser one (context); then equation (1) of the paper applies, cells + phi(cells).
The transition function phi is two dense 3x3 convolutions, so a cell perceives all channels of its neighbours
and not one number of each (docs/quality.md compares). Step t applies rule t. The cells stop after the last rule, so
more steps than rules change nothing.

The lattices are those of multigrid methods (Brandt, "Multi-Level Adaptive Solutions to Boundary-Value Problems", 1977)
and U-nets (Ronneberger et al. 2015). FFDNet (Zhang et al. 2018) also takes a map of noise levels as an input.
"""

from collections.abc import Container, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..runtime.noise_level import LEVEL_CHANNELS, SIDE
from ..runtime.pyramid import FINE, FULL_CORRECTION_LEVEL, LEVEL_INPUT_SCALE
from .latent import SMALLEST_SIDE
from .model import SteppedModel
from .noise_level import NoiseEstimator


class Cells(NamedTuple):
    """The state of the lattices: (B, channels, H / 2, W / 2), (B, channels, H / 4, W / 4), (B, channels, H / 8, W /
    8)."""

    fine: Tensor
    middle: Tensor
    coarse: Tensor


class DenseRule(nn.Module):
    """The transition function phi of a lattice: cells (B, C, h, w) -> their increment, of the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        self.perceive = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.Conv2d(channels, channels, 3, padding=1)
        for layer, size in ((self.perceive, 1.0), (self.act, 0.2)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            with torch.no_grad():
                layer.weight.mul_(size)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.act(F.relu(self.perceive(x_BCHW)))


class Step(nn.Module):
    """One step of all lattices.

    Args:
        channels: channels of a cell of the fine, the middle and the coarse lattice.
    """

    def __init__(self, channels: tuple[int, int, int]):
        super().__init__()
        fine, middle, coarse = channels
        self.to_middle, self.to_coarse = nn.Conv2d(fine, middle, 2, 2), nn.Conv2d(middle, coarse, 2, 2)
        self.from_coarse, self.from_middle = nn.Conv2d(coarse, 4 * middle, 1), nn.Conv2d(middle, 4 * fine, 1)
        self.fine, self.middle, self.coarse = map(DenseRule, channels)
        with torch.no_grad():
            self.from_coarse.weight.mul_(0.3)
            self.from_middle.weight.mul_(0.3)

    def forward(self, cells: Cells) -> Cells:
        fine, middle, coarse = cells
        middle = middle + self.to_middle(fine)
        coarse = coarse + self.to_coarse(middle)
        coarse = coarse + self.coarse(coarse)
        middle = middle + F.pixel_shuffle(self.from_coarse(coarse), 2)
        middle = middle + self.middle(middle)
        fine = fine + F.pixel_shuffle(self.from_middle(middle), 2)
        return Cells(fine + self.fine(fine), middle, coarse)


class PyramidAutomaton(SteppedModel):
    """Restores a picture with a map of its noise levels, which it estimates if none is given.

    Args:
        channels: channels of a cell of the fine, the middle and the coarse lattice.
        rules: number of rules; each step uses the next one.
        steps: steps at validation and test; the number of rules if None.
    """

    takes_noise_level = True
    multiple = SIDE

    def __init__(self, channels: tuple[int, int, int] = (64, 80, 96), rules: int = 3, steps: int | None = None):
        super().__init__(rules if steps is None else steps)
        self.channels = channels
        self.encode = nn.Conv2d(3 * FINE**2 + LEVEL_CHANNELS, channels[0], 3, padding=1)
        self.rules = nn.ModuleList(Step(channels) for _ in range(rules))
        self.decode = nn.Conv2d(channels[0], 3 * FINE**2, 3, padding=1)
        nn.init.zeros_(self.decode.weight)
        nn.init.zeros_(self.decode.bias)  # type: ignore[arg-type]
        self.estimator = NoiseEstimator()

    def pad(self, image_BCHW: Tensor) -> Tensor:
        """Mirrors the lower and right border until both sides are multiples of 8.

        Raises:
            ValueError: a side is shorter than 8 pixels.
        """
        height, width = image_BCHW.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise ValueError(
                f"an image needs at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels, got {tuple(image_BCHW.shape)}"
            )
        return F.pad(image_BCHW, (0, -width % SIDE, 0, -height % SIDE), mode="reflect")

    def seed(self, image_BCHW: Tensor, level_BLhw: Tensor) -> Cells:
        """The cells before the first step: fine cells hold features of the picture and the levels, the others are zero.

        Args:
            image_BCHW: sides are multiples of 8.
            level_BLhw: (B, 2, H / 8, W / 8), standard deviations of brightness and colour noise in 255ths.
        """
        pixels = F.pixel_unshuffle(image_BCHW, FINE)
        level = spread(level_BLhw) * (LEVEL_INPUT_SCALE / 255)
        fine = self.encode(torch.cat([pixels, level.to(pixels.dtype)], 1))
        batch, _, height, width = fine.shape
        _, middle, coarse = self.channels
        return Cells(
            fine,
            fine.new_zeros(batch, middle, height // 2, width // 2),
            fine.new_zeros(batch, coarse, height // 4, width // 4),
        )

    def read(self, cells: Cells, image_BCHW: Tensor, level_BLhw: Tensor) -> Tensor:
        """The picture plus the correction that the fine cells hold, not clipped. Without noise the correction is zero.
        For the arguments see `seed`."""
        corrections = self.decode(cells.fine) * share_of_correction(spread(level_BLhw), 1).to(cells.fine.dtype)
        return image_BCHW + F.pixel_shuffle(corrections, FINE)

    def forward(
        self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0, noise_level: Tensor | None = None
    ) -> Tensor:
        """Image (B, 3, H, W), sides >= 8 -> image of the same shape, in [0, 1].

        Args:
            image_BCHW: values in [0, 1], or beyond because of noise.
            steps: steps of the automaton; `self.steps` if None; steps beyond the number of rules change nothing.
            seed: has no effect, since every step updates all cells.
            noise_level: (B, 2, h, w) standard deviations of brightness and colour noise in 255ths, with the size
                of `NoiseEstimator`'s map, or (B, 2, 1, 1); estimated if None.

        Raises:
            ValueError: a side is shorter than 8 pixels.
        """
        steps = self.steps if steps is None else steps
        for restored in self.frames(image_BCHW, steps, seed, (steps,), noise_level):
            return restored
        raise AssertionError

    def frames(
        self,
        image_BCHW: Tensor,
        steps: int | None = None,
        seed: int = 0,
        only: Container[int] | None = None,
        noise_level: Tensor | None = None,
    ) -> Iterator[Tensor]:
        height, width = image_BCHW.shape[-2:]
        image = self.pad(image_BCHW)
        level = self.estimator(image) if noise_level is None else noise_level
        level = level.to(image.dtype).expand(
            len(image), LEVEL_CHANNELS, image.shape[-2] // SIDE, image.shape[-1] // SIDE
        )
        for step, restored in enumerate(self.unrolled(image, level, self.steps if steps is None else steps)):
            if only is None or step in only:
                yield restored[..., :height, :width].clamp(0, 1)

    def unrolled(self, image_BCHW: Tensor, level_BLhw: Tensor, steps: int) -> Iterator[Tensor]:
        """Yields the picture after 0, 1, ..., `steps` steps, as `read` computes it; the first is the input. For the
        arguments see `seed`."""
        yield image_BCHW
        cells, restored = self.seed(image_BCHW, level_BLhw), image_BCHW
        for step in range(steps):
            if step < len(self.rules):
                cells = self.rules[step](cells)
                restored = self.read(cells, image_BCHW, level_BLhw)
            yield restored


def spread(level_BLhw: Tensor) -> Tensor:
    """A map of levels for the cells of the fine lattice, four times as high and wide. It interpolates linearly, so that
    edges of cells do not show."""
    return F.interpolate(level_BLhw, scale_factor=SIDE // FINE, mode="bilinear", align_corners=False)


def share_of_correction(level: Tensor, dimension: int) -> Tensor:
    """The share of a correction that is applied: 1 if brightness or colour noise is at least `FULL_CORRECTION_LEVEL`,
    and 0 without noise, so that clean pictures do not change.

    Args:
        level: the two levels lie along `dimension`, which is kept.
    """
    return (level.amax(dimension, keepdim=True) / FULL_CORRECTION_LEVEL).clamp(0, 1)

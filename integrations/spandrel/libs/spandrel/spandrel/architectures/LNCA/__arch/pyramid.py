"""
The automaton of lnca for photographs: cells on three lattices, and an estimate of the noise.

Cells of 2x2, 4x4 and 8x8 pixels are updated in turn, from coarse to fine; each lattice reads the next finer and the next
coarser one. The noise level is an input of the cells. It is estimated from the image.

Latent Neural Cellular Automata for Resource-Efficient Image Restoration, https://arxiv.org/abs/2403.15525
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spandrel.util import store_hyperparameters

# Pixels of a side of the fine and the coarse cells.
FINE = 2
COARSE = 8
# Of the estimate: scales of its filters, and of the means of energies, of statements and of levels.
SCALES = 3
ENERGY_SCALES = 3
STATEMENT_SCALES = 5
LEVEL_SCALES = 2
# A mean square that is as good as none.
LITTLE = (0.05 / 255) ** 2
# A level is at most this multiple of the standard deviation around it.
MOST = 1.5
LOWEST = -3.0
HIGHEST = math.log(256)
SUREST = 8.0
# What a level of 255 is to the cells, and the level from which on a correction is taken as it is.
LEVEL_INPUT_SCALE = 4.0
FULL = 2.0
YCBCR = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)


def smoothed(x: Tensor, dim: int, hole: int) -> Tensor:
    """The binomial filter 1/4, 1/2, 1/4 with holes, along one dimension."""
    size = x.shape[dim]
    place = torch.arange(size, device=x.device)
    before = x.index_select(dim, (place - hole).clamp(min=0))
    after = x.index_select(dim, (place + hole).clamp(max=size - 1))
    return (before + after) / 4 + x / 2


def widened(x: Tensor, scales: int) -> list[Tensor]:
    """Means (B, C, h, w) over wider and wider surroundings, which begin with x."""
    means = [x]
    for scale in range(scales - 1):
        means.append(smoothed(smoothed(means[-1], 2, 2**scale), 3, 2**scale))
    return means


class NoiseEstimator(nn.Module):
    """Image (B, 3, H, W) -> noise levels of brightness and colour (B, 2, H / 8, W / 8) in 255ths."""

    def __init__(self, filters: int, hidden: int, shared: int, own: int):
        super().__init__()
        self.shared = shared
        self.filters = nn.ModuleList(
            nn.Conv2d(3, filters, 3, bias=False) for _ in range(SCALES)
        )
        self.say = nn.Sequential(
            nn.Conv2d(ENERGY_SCALES * (SCALES * filters + 3), hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, 2 * shared + own, 1),
        )
        self.conclude = nn.Sequential(
            nn.Conv2d(shared + own, 32, 1), nn.ReLU(), nn.Conv2d(32, 2, 1)
        )

    def energies(self, image: Tensor) -> Tensor:
        parts = []
        for scale, layer in enumerate(self.filters):
            small = F.avg_pool2d(image, 2**scale) if scale else image
            answers = layer(F.pad(small, (1, 1, 1, 1), mode="reflect"))
            energy = F.avg_pool2d(answers.square(), COARSE >> scale)
            parts.append((energy + LITTLE).log() / 2 + 4)
        return torch.cat([*parts, F.avg_pool2d(image, COARSE) - 0.5], 1)

    def variances(self, image: Tensor) -> Tensor:
        weights = image.new_tensor(YCBCR)
        weights = weights / weights.norm(dim=1, keepdim=True)
        parts = F.conv2d(image, weights[..., None, None])
        b, c, h, w = parts.shape
        cells = parts.view(b, c, h // COARSE, COARSE, w // COARSE, COARSE)
        variance = (cells - cells.mean((3, 5), keepdim=True)).square().mean((3, 5))
        return torch.cat([variance[:, :1], variance[:, 1:].mean(1, keepdim=True)], 1)

    def forward(self, image: Tensor) -> Tensor:
        said = self.say(torch.cat(widened(self.energies(image), ENERGY_SCALES), 1))
        n = self.shared
        trust = said[:, n : 2 * n].clamp(-SUREST, SUREST).exp()
        wide = widened(torch.cat([said[:, :n] * trust, trust], 1), STATEMENT_SCALES)[-1]
        common = wide[:, :n] / wide[:, n:]
        levels = self.conclude(torch.cat([common, said[:, 2 * n :]], 1))
        # Two means of the variances, one on top of the other.
        variances = widened(self.variances(image), ENERGY_SCALES)[-1]
        variances = widened(variances, ENERGY_SCALES)[-1]
        most = 255 * MOST * (variances - LITTLE).clamp(min=0).sqrt()
        levels = torch.minimum(levels.clamp(LOWEST, HIGHEST).exp(), most)
        return widened(levels, LEVEL_SCALES)[-1]


class DenseRule(nn.Module):
    """Cells (B, C, h, w) -> their increment."""

    def __init__(self, channels: int):
        super().__init__()
        self.perceive = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(F.relu(self.perceive(x)))


class Step(nn.Module):
    """One step of the three lattices."""

    def __init__(self, channels: tuple[int, int, int]):
        super().__init__()
        fine, middle, coarse = channels
        self.to_middle = nn.Conv2d(fine, middle, 2, 2)
        self.to_coarse = nn.Conv2d(middle, coarse, 2, 2)
        self.from_coarse = nn.Conv2d(coarse, 4 * middle, 1)
        self.from_middle = nn.Conv2d(middle, 4 * fine, 1)
        self.fine = DenseRule(fine)
        self.middle = DenseRule(middle)
        self.coarse = DenseRule(coarse)

    def forward(
        self, fine: Tensor, middle: Tensor, coarse: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        middle = middle + self.to_middle(fine)
        coarse = coarse + self.to_coarse(middle)
        coarse = coarse + self.coarse(coarse)
        middle = middle + F.pixel_shuffle(self.from_coarse(coarse), 2)
        middle = middle + self.middle(middle)
        fine = fine + F.pixel_shuffle(self.from_middle(middle), 2)
        return fine + self.fine(fine), middle, coarse


@store_hyperparameters()
class PyramidAutomaton(nn.Module):
    """Image (B, 3, H, W) in [0, 1], sides of 8 or more -> restored image."""

    hyperparameters = {}

    def __init__(
        self,
        *,
        channels: tuple[int, int, int] = (64, 80, 96),
        rules: int = 3,
        filters: int = 24,
        hidden: int = 64,
        shared: int = 12,
        own: int = 16,
    ):
        super().__init__()
        self.channels = channels
        self.encode = nn.Conv2d(3 * FINE**2 + 2, channels[0], 3, padding=1)
        self.rules = nn.ModuleList(Step(channels) for _ in range(rules))
        self.decode = nn.Conv2d(channels[0], 3 * FINE**2, 3, padding=1)
        self.estimator = NoiseEstimator(filters, hidden, shared, own)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        x = F.pad(image, (0, -width % COARSE, 0, -height % COARSE), mode="reflect")
        level = F.interpolate(
            self.estimator(x),
            scale_factor=COARSE // FINE,
            mode="bilinear",
            align_corners=False,
        )
        fine = self.encode(
            torch.cat(
                [F.pixel_unshuffle(x, FINE), level * (LEVEL_INPUT_SCALE / 255)], 1
            )
        )
        b, _, h, w = fine.shape
        middle = fine.new_zeros(b, self.channels[1], h // 2, w // 2)
        coarse = fine.new_zeros(b, self.channels[2], h // 4, w // 4)
        for rule in self.rules:
            fine, middle, coarse = rule(fine, middle, coarse)
        share = (level.amax(1, keepdim=True) / FULL).clamp(0, 1)
        restored = x + F.pixel_shuffle(self.decode(fine) * share, FINE)
        return restored[..., :height, :width].clamp(0, 1)

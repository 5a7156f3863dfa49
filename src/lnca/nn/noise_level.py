"""Estimates the noise level of a picture from the picture itself: a map over cells of 8x8 pixels.

What separates noise from texture differs from camera to camera: independent noise is strongest in the finest
differences, noise after demosaicing and JPEG is not. So the filters are learned, at three scales, and the estimator
uses their energies. From its own energies and those around it, each cell computes features of the noise and a
confidence: flat cells are reliable, textured cells are not. The cells share the mean of these features over a wide
context, weighted by confidence. Each cell estimates its noise level from this mean and from its own brightness and
energies. The training loss weights levels that are too low more than those that are too high, since remaining noise is
worse than a little smoothing (Guo et al., "Toward Convolutional Blind Denoising of Real Photographs", CVPR 2019).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..runtime.noise_level import (
    ENERGY_FLOOR,
    ENERGY_SCALES,
    FEATURE_SCALES,
    LEVEL_CHANNELS,
    LEVEL_SCALES,
    MAX_LEVEL_RATIO,
    MAX_LOG_CONFIDENCE,
    MAX_LOG_LEVEL,
    MIN_LOG_LEVEL,
    SCALES,
    SIDE,
    YCBCR,
)
from .surroundings import widened


class NoiseEstimator(nn.Module):
    """Estimates the standard deviations of brightness noise and colour noise of a picture.

    The unit is a 255th, scaled so that independent noise of standard deviation sigma in all three channels reads sigma
    in both maps: that of Y = 0.299 R + 0.587 G + 0.114 B divided by 0.668, the norm of these weights, and accordingly
    for the root mean square of Cb and Cr (`degradation.noise_level`).

    Args:
        filters: number of learned filters at each scale.
        hidden: channels between the energies and the features of a cell.
        shared, own: channels of the features that cells share, and of those that a cell keeps for itself.
    """

    def __init__(self, filters: int = 24, hidden: int = 64, shared: int = 12, own: int = 16):
        super().__init__()
        self.shared, self.channels = shared, 2 * shared + own + LEVEL_CHANNELS
        self.filters = nn.ModuleList(nn.Conv2d(3, filters, 3, bias=False) for _ in range(SCALES))
        self.say = nn.Sequential(
            nn.Conv2d(ENERGY_SCALES * (SCALES * filters + 3), hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, 2 * shared + own, 1),
        )
        self.conclude = nn.Sequential(nn.Conv2d(shared + own, 32, 1), nn.ReLU(), nn.Conv2d(32, 2, 1))
        nn.init.constant_(self.conclude[-1].bias, 1.5)  # type: ignore[arg-type]

    def energies(self, image_BCHW: Tensor) -> Tensor:
        """For each cell the logarithms of the filters' mean squares, the mean colour, and the variances of brightness
        and colour; (B, channels, H / 8, W / 8).

        A cell depends on its own pixels and on those up to 4 pixels around them.
        """
        parts = []
        for scale, layer in enumerate(self.filters):
            small = F.avg_pool2d(image_BCHW, 2**scale) if scale else image_BCHW
            filtered = layer(F.pad(small, (1, 1, 1, 1), mode="reflect"))
            energy = F.avg_pool2d(filtered.square(), SIDE >> scale)
            parts.append((energy + ENERGY_FLOOR).log() / 2 + 4)
        return torch.cat([*parts, F.avg_pool2d(image_BCHW, SIDE) - 0.5, _variances(image_BCHW)], 1)

    def features(self, energies_BChw: Tensor) -> Tensor:
        """The shared features times the confidence, the confidence, the own features, and the averaged variances of
        each cell: (B, 2 shared + own + 2, H / 8, W / 8)."""
        around = widened(energies_BChw[:, :-LEVEL_CHANNELS].permute(0, 2, 3, 1), ENERGY_SCALES)
        raw = self.say(torch.cat(around, -1).permute(0, 3, 1, 2))
        confidence = raw[:, self.shared : 2 * self.shared].clamp(-MAX_LOG_CONFIDENCE, MAX_LOG_CONFIDENCE).exp()
        variances = _wide(energies_BChw[:, -LEVEL_CHANNELS:], ENERGY_SCALES)
        return torch.cat([raw[:, : self.shared] * confidence, confidence, raw[:, 2 * self.shared :], variances], 1)

    def pooled_levels(self, features_BChw: Tensor) -> Tensor:
        """The levels (B, 2, H / 8, W / 8), computed from the `features` of all cells of a picture."""
        wide = _wide(features_BChw[:, : 2 * self.shared], FEATURE_SCALES)
        shared_mean = wide[:, : self.shared] / wide[:, self.shared :]
        levels = self.conclude(torch.cat([shared_mean, features_BChw[:, 2 * self.shared : -LEVEL_CHANNELS]], 1))
        # The noise cannot be much larger than the variation of the picture.
        bound = (
            255
            * MAX_LEVEL_RATIO
            * (_wide(features_BChw[:, -LEVEL_CHANNELS:], ENERGY_SCALES) - ENERGY_FLOOR).clamp(min=0).sqrt()
        )
        levels = torch.minimum(levels.clamp(MIN_LOG_LEVEL, MAX_LOG_LEVEL).exp(), bound)
        return _wide(levels, LEVEL_SCALES)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Picture (B, 3, H, W), sides multiples of 8 -> levels (B, 2, H / 8, W / 8) in 255ths."""
        return self.pooled_levels(self.features(self.energies(image_BCHW)))


def _variances(image_BCHW: Tensor) -> Tensor:
    """Variances of brightness and of colour in each cell, on the scale of the levels: (B, 2, H / 8, W / 8)."""
    weights = image_BCHW.new_tensor(YCBCR)
    weights = weights / weights.norm(dim=1, keepdim=True)
    parts = F.conv2d(image_BCHW, weights[..., None, None])
    cells = parts.unflatten(3, (-1, SIDE)).unflatten(2, (-1, SIDE))
    variance = (cells - cells.mean((3, 5), keepdim=True)).square().mean((3, 5))
    return torch.cat([variance[:, :1], variance[:, 1:].mean(1, keepdim=True)], 1)


def _wide(x_BChw: Tensor, scales: int) -> Tensor:
    """The mean over the widest context, channels first; see `widened`."""
    return widened(x_BChw.permute(0, 2, 3, 1), scales)[-1].permute(0, 3, 1, 2)

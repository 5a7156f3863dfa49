"""How much noise there is in a picture, told by the picture itself: a map over cells of 8x8 pixels.

What tells noise from texture differs from camera to camera: independent noise is loudest in the finest differences,
what came through demosaicing and JPEG is not. So the filters whose energies are looked at are learned, at three
scales. Each cell says something of the noise from the energies of its own and those around it, and how far that is to
be trusted: flat cells know, textured ones do not. The trusted mean over wide surroundings is what the cells agree on,
and each cell concludes from it, and from its own brightness and energies, how loud the noise is there. The training
punishes levels that are too low more than those that are too high, since noise that is left is worse than a little
smoothing (Guo et al., "Toward Convolutional Blind Denoising of Real Photographs", CVPR 2019).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..runtime.noise_level import (
    ENERGY_SCALES,
    HIGHEST,
    LEVEL_CHANNELS,
    LEVEL_SCALES,
    LITTLE,
    LOWEST,
    MOST,
    SCALES,
    SIDE,
    STATEMENT_SCALES,
    SUREST,
    YCBCR,
)
from .surroundings import widened


class NoiseEstimator(nn.Module):
    """Picture -> standard deviations of its brightness and its colour noise.

    The unit is a 255th, scaled so that independent noise of standard deviation sigma in all three channels reads sigma
    in both maps: that of Y = 0.299 R + 0.587 G + 0.114 B divided by 0.668, the norm of these weights, and accordingly
    for the root mean square of Cb and Cr (`degradation.noise_level`).

    Args:
        filters: learned at each scale.
        hidden: channels between energies and what a cell says.
        shared, own: channels of what cells say to one another, and of what each keeps for itself.
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
        """Of each cell: logarithms of the filters' mean squares, the mean colour, and the variances of brightness and
        of colour in it; (B, channels, H / 8, W / 8).

        A cell depends on the pixels of its own and on up to 4 around them.
        """
        parts = []
        for scale, layer in enumerate(self.filters):
            small = F.avg_pool2d(image_BCHW, 2**scale) if scale else image_BCHW
            answers = layer(F.pad(small, (1, 1, 1, 1), mode="reflect"))
            energy = F.avg_pool2d(answers.square(), SIDE >> scale)
            parts.append((energy + LITTLE).log() / 2 + 4)
        return torch.cat([*parts, F.avg_pool2d(image_BCHW, SIDE) - 0.5, _variances(image_BCHW)], 1)

    def statements(self, energies_BChw: Tensor) -> Tensor:
        """What each cell says times how far it is to be trusted, that, and what it keeps for itself: (B, 2 shared +
        own, H / 8, W / 8)."""
        around = widened(energies_BChw[:, :-LEVEL_CHANNELS].permute(0, 2, 3, 1), ENERGY_SCALES)
        said = self.say(torch.cat(around, -1).permute(0, 3, 1, 2))
        trust = said[:, self.shared : 2 * self.shared].clamp(-SUREST, SUREST).exp()
        variances = _wide(energies_BChw[:, -LEVEL_CHANNELS:], ENERGY_SCALES)
        return torch.cat([said[:, : self.shared] * trust, trust, said[:, 2 * self.shared :], variances], 1)

    def pooled_levels(self, said_BChw: Tensor) -> Tensor:
        """The levels (B, 2, H / 8, W / 8) that follow from the `statements` of all cells of a picture."""
        wide = _wide(said_BChw[:, : 2 * self.shared], STATEMENT_SCALES)
        common = wide[:, : self.shared] / wide[:, self.shared :]
        levels = self.conclude(torch.cat([common, said_BChw[:, 2 * self.shared : -LEVEL_CHANNELS]], 1))
        # Noise is not much louder than the picture varies.
        most = 255 * MOST * (_wide(said_BChw[:, -LEVEL_CHANNELS:], ENERGY_SCALES) - LITTLE).clamp(min=0).sqrt()
        levels = torch.minimum(levels.clamp(LOWEST, HIGHEST).exp(), most)
        return _wide(levels, LEVEL_SCALES)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Picture (B, 3, H, W), sides multiples of 8 -> levels (B, 2, H / 8, W / 8) in 255ths."""
        return self.pooled_levels(self.statements(self.energies(image_BCHW)))


def _variances(image_BCHW: Tensor) -> Tensor:
    """Variances of brightness and of colour in each cell, on the scale of the levels: (B, 2, H / 8, W / 8)."""
    weights = image_BCHW.new_tensor(YCBCR)
    weights = weights / weights.norm(dim=1, keepdim=True)
    parts = F.conv2d(image_BCHW, weights[..., None, None])
    cells = parts.unflatten(3, (-1, SIDE)).unflatten(2, (-1, SIDE))
    variance = (cells - cells.mean((3, 5), keepdim=True)).square().mean((3, 5))
    return torch.cat([variance[:, :1], variance[:, 1:].mean(1, keepdim=True)], 1)


def _wide(x_BChw: Tensor, scales: int) -> Tensor:
    """The widest of the `widened` means, channels first."""
    return widened(x_BChw.permute(0, 2, 3, 1), scales)[-1].permute(0, 3, 1, 2)

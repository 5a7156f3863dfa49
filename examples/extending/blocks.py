"""A coder of blocks: 4x4 pixels become one cell, and the output of a cell corrects its pixels."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoder import Coder
from .latent import LatentAutomaton
from .nafca import NAFCA

SIDE = 4


class BlockCoder(Coder):
    """Linear maps from a block of pixels to a cell and back.

    Args:
        latent_channels: channels of a cell's input and of its output.
    """

    def __init__(self, latent_channels: int):
        pixels = 3 * SIDE**2
        super().__init__(SIDE, width=3)
        self.into = nn.Conv2d(pixels, latent_channels, 1)
        self.back = nn.Conv2d(latent_channels, pixels, 1)

    @property
    def reach(self) -> int:
        return 0

    def encode(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        latent = self.into(F.pixel_unshuffle(image_BCHW, SIDE))
        return latent.permute(0, 2, 3, 1), image_BCHW

    def decode(self, latent_BHWC: Tensor, skip_BCHW: Tensor) -> Tensor:
        correction = F.pixel_shuffle(self.back(latent_BHWC.permute(0, 3, 1, 2)), SIDE)
        restored = skip_BCHW + correction
        return restored if self.training else restored.clamp(0, 1)


@dataclass(frozen=True)
class BlockSettings:
    """Settings of NAFCA between blocks; see `BlockCoder` and `NAFCA`."""

    phases: ClassVar[tuple[str, ...]] = ("residual",)
    latent_channels: int = 16
    hidden_channels: int = 16
    steps: int = 8

    def build(self) -> LatentAutomaton:
        """An untrained module."""
        rule = NAFCA(self.latent_channels, self.latent_channels, self.hidden_channels, dropout=0.0)
        return LatentAutomaton(BlockCoder(self.latent_channels), rule, self.steps)

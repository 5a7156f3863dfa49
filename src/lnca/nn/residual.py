"""Encoder and decoder with a path at full resolution: the restored picture is the input plus a correction.

The paper's decoder has to rebuild every pixel from three numbers: d / 2 skip channels at a quarter and d latent
channels at a sixteenth of the positions. Here a feature map at full resolution bypasses the automaton. From it and the
cells' output the decoder computes a correction of the picture (docs/research/tiles.md).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .autoencoder import Coder

# Side of a cell in pixels.
SIDE = 4


class ResidualCoder(Coder):
    """Encoder and decoder; a cell covers 4x4 pixels.

    Args:
        image_channels: channels of the image.
        width: channels of the path at full resolution.
        shrink: side in pixels of a position of the path: 1, or 2 for a path over blocks of 2x2 pixels.
        latent_channels: channels from the encoder to the cells.
        output_channels: channels from the cells to the decoder.
        mixing: channels between the two linear maps from the path's positions to a cell, and back.
    """

    def __init__(
        self,
        image_channels: int = 3,
        width: int = 16,
        shrink: int = 1,
        latent_channels: int = 16,
        output_channels: int = 32,
        mixing: int = 96,
    ):
        super().__init__(SIDE, width)
        if shrink not in (1, 2):
            raise ValueError(f"shrink must be 1 or 2, got {shrink}")
        self.shrink, self.places = shrink, (SIDE // shrink) ** 2
        self.pixels = image_channels * shrink**2
        self.features = nn.Sequential(
            nn.Conv2d(self.pixels, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )

        def maps(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, mixing, 1), nn.SiLU(), nn.Conv2d(mixing, outputs, 1))

        self.gather = maps(width * self.places, latent_channels)
        self.scatter = maps(output_channels, width * self.places)
        last = nn.Conv2d(width, self.pixels, 3, padding=1)
        self.correct = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), last
        )
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    @property
    def reach(self) -> int:
        """Largest radius of the receptive field of encoding or decoding, in cells."""
        return -(-5 * self.shrink // SIDE) + 1

    def encode(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Image (B, 3, H, W) -> latent (B, H / 4, W / 4, d) and the path: image and features, (B, 3 + width, H, W), or
        (B, 12 + width, H / 2, W / 2) if `shrink` is 2."""
        pixels = F.pixel_unshuffle(image_BCHW, self.shrink)
        features = self.features(pixels)
        latent = self.gather(F.pixel_unshuffle(features, SIDE // self.shrink))
        return latent.permute(0, 2, 3, 1), torch.cat([pixels, features], 1)

    def decode(self, latent_BHWC: Tensor, skip_BCHW: Tensor) -> Tensor:
        """The cells' output and the path -> image (B, 3, H, W); in [0, 1], but not clipped in training, which needs a
        gradient."""
        pixels, features = skip_BCHW.split([self.pixels, self.width], 1)
        path = F.pixel_shuffle(self.scatter(latent_BHWC.permute(0, 3, 1, 2)), SIDE // self.shrink)
        restored = F.pixel_shuffle(pixels + self.correct(torch.cat([features, path], 1)), self.shrink)
        return restored if self.training else restored.clamp(0, 1)

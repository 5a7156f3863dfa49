"""Encoder and decoder in bands of rows, for pictures of any height."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..nn.autoencoder import AdjustedTransposedConv, Autoencoder
from .convolution import Band, FusedConvolution

# Gives rows [begin, end) of a picture, float32 (B, rows, W, 3).
Source = Callable[[int, int], Tensor]


class FusedAutoencoder:
    """An autoencoder in evaluation mode.

    Args:
        autoencoder: its weights are copied.
        level: instruction set, one of `LEVELS`.

    Attributes:
        multiple: pixels of a cell's side.
        border: rows of cells that a band reaches beyond itself, both sides together, at most.
        floats: numbers that lie in memory for a pixel of a band, at most.
        halo: the same of what lies beyond the band, for a column of pixels.

    Raises:
        LncaError: more channels than the kernel has room for.
    """

    def __init__(self, autoencoder: Autoencoder, level: str):
        def layer(module: torch.nn.Module) -> FusedConvolution:
            last = isinstance(module, AdjustedTransposedConv) and module.last
            return FusedConvolution(module, level, "sigmoid" if last else "swish")  # type: ignore[arg-type]

        self.multiple = autoencoder.multiple
        self.border = 2 * autoencoder.reach
        self.skip_branch, self.side_channel = layer(autoencoder.skip_branch), layer(autoencoder.side_channel)
        self.down = [layer(module) for module in autoencoder.down]
        self.up = [layer(module) for module in autoencoder.up]
        self.mix, self.output = layer(autoencoder.mix), layer(autoencoder.output)
        # Image and result in float32 and a half-size picture for each of four layers.
        self.floats = 9 + self.mix.outputs
        self.halo = self.border * self.multiple * self.floats

    def encode(self, image: Source, height: int, begin: int, end: int) -> Tensor:
        """Latent rows [begin, end), (B, rows, W', C), of a picture of `height` rows (a multiple of `multiple`)."""
        ranges, rows = [(begin, end)], height // self.multiple
        for layer in reversed(self.down):
            rows *= 2
            ranges.append(layer.needs(*ranges[-1], rows))
        first, last = ranges.pop()
        band = self._band(image, height, *self.skip_branch.needs(first, last, height))
        x = self.skip_branch(band, first, last)
        x.values += self.side_channel(band, first, last).values
        for layer in self.down:
            x = layer(x, *ranges.pop())
        return x.values

    def decode(self, image: Source, latent: Source, height: int, begin: int, end: int) -> Tensor:
        """Rows [begin, end), (B, rows, W, 3) in [0, 1], of the decoded picture.

        Args:
            image: gives rows of the corrupted picture, for the skip-connection.
            latent: gives rows of the latent.
            height: rows of the picture, a multiple of `multiple`.
        """
        mixed = self.output.needs(begin, end, height // 2)
        joined = self.mix.needs(*mixed, height // 2)
        ranges, rows = [joined], height // 2
        for layer in reversed(self.up):
            rows //= 2
            ranges.append(layer.needs(*ranges[-1], rows))
        first, last = ranges.pop()
        x = Band(latent(first, last), first, rows)
        for layer in self.up:
            x = layer(x, *ranges.pop())
        band = self._band(image, height, *self.skip_branch.needs(*joined, height))
        x.values += self.skip_branch(band, *joined).values
        return self.output(self.mix(x, *mixed), begin, end).values

    @staticmethod
    def _band(image: Source, height: int, begin: int, end: int) -> Band:
        return Band(image(begin, end), begin, height)

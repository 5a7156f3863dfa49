"""The paper's encoder and decoder (3.1.1) in bands of rows."""

import numpy as np

from .arrays import RowReader
from .coders import BandCoder, chain
from .convolution import Band
from .engine import Engine
from .layers import Layer, adjusted
from .weights import Weights

# Radius of the receptive field of the encoder and of the decoder, in cells.
REACH = 2


class BandAutoencoder(BandCoder):
    """The paper's autoencoder.

    Args:
        weights: the tensors, named as in `lnca.nn.autoencoder.Autoencoder`.
        latent: number of latent channels.
        downsamplings: number of halvings of the resolution, at least 2.
        engine: computes the convolutions.

    Raises:
        LncaError: a tensor is missing or has a wrong shape, or there are more channels than the kernels support.
    """

    def __init__(self, weights: Weights, latent: int, downsamplings: int, engine: Engine):
        def layer(name: str, inputs: int, outputs: int, **how: object) -> Layer:
            return adjusted(weights.within(name), inputs, outputs, **how)  # type: ignore[arg-type]

        skip, deeper = latent // 2, downsamplings - 2
        first = layer("skip_branch", 3, skip, stride=2)
        down = [layer("down.0", skip, latent, stride=2)]
        down += [layer(f"down.{number + 1}", latent, latent, stride=2) for number in range(deeper)]
        up = [layer(f"up.{number}", latent, latent, transposed=True) for number in range(deeper)]
        up.append(layer(f"up.{deeper}", latent, skip, transposed=True))
        last = layer("output", skip, 3, transposed=True, activation="sigmoid")
        self.skip_branch = engine.convolution(first)
        self.side_channel = engine.convolution(layer("side_channel", 3, skip, stride=2))
        self.down, self.up = [engine.convolution(each) for each in down], [engine.convolution(each) for each in up]
        self.mix, self.output = engine.convolution(layer("mix", skip, skip)), engine.convolution(last)
        self.multiple, self.reach, self.border = 2 ** (deeper + 2), REACH, 2 * REACH
        # Picture and result, and four layers at half the resolution.
        self.floats = 9 + skip
        self.aligned = engine.aligned
        self.halo = self.border * self.multiple * self.floats

    def encode(self, image: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """See `BandCoder.encode`."""

        def joined(first: int, last: int) -> np.ndarray:
            band = self._band(image, height, *self.skip_branch.needs(first, last, height))
            values = self.skip_branch(band, first, last).values
            values += self.side_channel(band, first, last).values
            return values

        return chain(self.down, joined, height // 2, begin, end).values

    def decode(self, image: RowReader, latent: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """See `BandCoder.decode`."""

        def joined(first: int, last: int) -> np.ndarray:
            values = chain(self.up, latent, height // self.multiple, first, last).values
            band = self._band(image, height, *self.skip_branch.needs(first, last, height))
            values += self.skip_branch(band, first, last).values
            return values

        return chain([self.mix, self.output], joined, height // 2, begin, end).values

    @staticmethod
    def _band(image: RowReader, height: int, begin: int, end: int) -> Band:
        return Band(image(begin, end), begin, height)

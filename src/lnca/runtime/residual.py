"""The residual coder (`lnca.nn.residual`) in bands of rows."""

import numpy as np

from ..errors import LncaError
from .arrays import RowReader, shuffled, unshuffled
from .coders import BandCoder, chain
from .convolution import Convolution
from .engine import Engine
from .layers import Activation, Layer, convolution, making_blocks, reading_blocks
from .weights import Weights

# Side of a cell in pixels.
SIDE = 4


class BandResidualCoder(BandCoder):
    """A residual coder.

    Args:
        weights: the tensors, named as in `lnca.nn.residual.ResidualCoder`.
        engine: computes the convolutions. The layer that reads pixels never uses bfloat16.
        width, shrink, mixing: see `lnca.nn.residual.ResidualCoder`.
        latent, output: channels from the encoder to the cells, and from the cells to the decoder.

    Raises:
        LncaError: `shrink` is neither 1 nor 2, a tensor is missing or has a wrong shape, or there are more channels
            than the kernels support.
    """

    def __init__(
        self, weights: Weights, engine: Engine, *, width: int, shrink: int, latent: int, output: int, mixing: int
    ):
        def layer(
            name: str, inputs: int, outputs: int, taps: int = 3, how: Activation = "none", **options: bool
        ) -> Layer:
            return convolution(weights.within(name), inputs, outputs, taps, activation=how, **options)

        def made(*layers: Layer) -> list[Convolution]:
            return [engine.convolution(each) for each in layers]

        if shrink not in (1, 2):
            raise LncaError(f"shrink must be 1 or 2, got {shrink}")
        pixels = 3 * shrink**2
        first = layer("features.0", pixels, width, how="swish", exact=True)
        self.shrink, self.places, self.multiple = shrink, SIDE // shrink, SIDE
        cell = width * self.places**2
        self.features = made(reading_blocks(first, shrink, 3), layer("features.2", width, width))
        gather = reading_blocks(layer("gather.0", cell, mixing, 1, "swish"), self.places, width)
        self.gather = made(gather, layer("gather.2", mixing, latent, 1))
        scatter = layer("scatter.0", output, mixing, 1, "swish")
        self.scatter = made(scatter, making_blocks(layer("scatter.2", mixing, cell, 1), self.places))
        self.correct = made(
            layer("correct.0", 2 * width, width, how="swish"),
            layer("correct.2", width, width, how="swish"),
            making_blocks(layer("correct.4", width, pixels), shrink),
        )
        # Radius of the receptive field of the path, in pixels.
        radius = 5 * shrink
        self.reach = -(-radius // SIDE) + 1
        self.border = 2 * -(-radius // SIDE) + 2
        # Picture and result, and the feature maps of the decoder.
        self.floats = 9 + 8 * width // shrink**2
        self.aligned = engine.aligned
        self.halo = 2 * (radius + SIDE) * self.floats

    def encode(self, image: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """See `BandCoder.encode`."""

        def cells(top: int, bottom: int) -> np.ndarray:
            return unshuffled(self._features(image, height, top * self.places, bottom * self.places), self.places)

        return chain(self.gather, cells, height // SIDE, begin, end).values

    def decode(self, image: RowReader, latent: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """See `BandCoder.decode`."""

        def joined(first: int, last: int) -> np.ndarray:
            top, bottom = first // self.places, -(-last // self.places)
            path = shuffled(chain(self.scatter, latent, height // SIDE, top, bottom).values, self.places)
            path = path[:, first - top * self.places : last - top * self.places]
            return np.concatenate([self._features(image, height, first, last), path], -1)

        x = chain(self.correct, joined, height // self.shrink, begin // self.shrink, end // self.shrink)
        restored = image(begin, end) + shuffled(x.values, self.shrink)
        return np.clip(restored, 0, 1, out=restored)

    def _features(self, image: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end) of the feature map of the path."""

        def pixels(low: int, high: int) -> np.ndarray:
            return unshuffled(image(low * self.shrink, high * self.shrink), self.shrink)

        return chain(self.features, pixels, height // self.shrink, begin, end).values

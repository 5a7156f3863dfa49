"""Interface of encoder and decoder, in bands of rows, for pictures of any height."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from .arrays import RowReader
from .convolution import Band, Convolution


class BandCoder(ABC):
    """Encoder and decoder of a latent automaton.

    Attributes:
        multiple: side of a cell in pixels.
        reach: largest radius of the receptive field of encoder and decoder, in cells.
        border: largest number of rows of cells that a band needs beyond itself, both sides together.
        floats: largest number of floats in memory for each pixel of a band.
        halo: largest number of floats in memory for each column of pixels, for the rows beyond the band.
        aligned: a part of a picture may begin at multiples of this number of columns of cells, see
            `lnca.runtime.engine.Engine`.
    """

    multiple: int
    reach: int
    border: int
    floats: int
    halo: int
    aligned: int

    @abstractmethod
    def encode(self, image: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """Latent rows [begin, end), (B, end - begin, W / multiple, C).

        Args:
            image: gives rows of the corrupted picture, (B, rows, W, 3) in [0, 1].
            height: number of rows of the picture, a multiple of `multiple`.
        """

    @abstractmethod
    def decode(self, image: RowReader, latent: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end) of the decoded picture, (B, end - begin, W, 3) in [0, 1].

        Args:
            image: gives rows of the corrupted picture, (B, rows, W, 3) in [0, 1].
            latent: gives rows of the cells' output, (B, rows, W / multiple, C).
            height: number of rows of the picture, a multiple of `multiple`.
        """


def chain(layers: Sequence[Convolution], source: RowReader, height: int, begin: int, end: int) -> Band:
    """Rows [begin, end) of the output of a sequence of layers.

    Args:
        source: gives rows of the input of the first layer.
        height: number of rows of the whole input.
    """
    heights = [height]
    for layer in layers[:-1]:
        heights.append(layer.height(heights[-1]))
    ranges = [(begin, end)]
    for layer, rows in zip(reversed(layers), reversed(heights), strict=True):
        ranges.append(layer.needs(*ranges[-1], rows))
    first, last = ranges.pop()
    band = Band(source(first, last), first, height)
    for layer in layers:
        band = layer(band, *ranges.pop())
    return band

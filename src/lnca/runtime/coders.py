"""Encoder and decoder in bands of rows, for pictures of any height."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from .arrays import RowReader
from .convolution import Band, Convolution


class BandCoder(ABC):
    """What goes around a latent automaton.

    Attributes:
        multiple: pixels of a cell's side.
        reach: cells to either side that what is made of a cell depends on, at most, when encoding or decoding.
        border: rows of cells that a band reaches beyond itself, both sides together, at most.
        floats: numbers that lie in memory for a pixel of a band, at most.
        halo: the same of what lies beyond the band, for a column of pixels.
        aligned: columns of cells at which a part of a picture may begin, see `lnca.runtime.engine.Engine`.
    """

    multiple: int
    reach: int
    border: int
    floats: int
    halo: int
    aligned: int

    @abstractmethod
    def encode(self, image: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """Latent rows [begin, end), (B, rows, W', C), of a picture of `height` rows (a multiple of `multiple`)."""

    @abstractmethod
    def decode(self, image: RowReader, latent: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """Rows [begin, end), (B, rows, W, 3) in [0, 1], of the decoded picture.

        Args:
            image: gives rows of the corrupted picture.
            latent: gives rows of the cells' output.
            height: rows of the picture, a multiple of `multiple`.
        """


def chain(layers: Sequence[Convolution], source: RowReader, height: int, begin: int, end: int) -> Band:
    """Rows [begin, end) of what layers, one after the other, make of rows of a source that has `height` of them.

    Args:
        height: of the source; `begin` and `end` are rows of the last layer's output.
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

"""How much noise there is in a picture: `lnca.nn.noise_level`, which trains it and says what it does, in bands of rows.

Shape suffixes: B batch, H rows, W columns, C channels; h and w are cells of 8x8 pixels.
"""

import math

import numpy as np

from .arrays import RowReader
from .convolution import Band, Convolution, multiplied
from .engine import Engine
from .layers import convolution
from .weights import Weights

# Pixels of a cell's side.
SIDE = 8
SCALES = 3
# Mean squares: a twentieth of a step of 8 bits.
LITTLE = (0.05 / 255) ** 2
# Numbers of scales for averaging what cells say, energies and levels.
STATEMENT_SCALES, ENERGY_SCALES, LEVEL_SCALES = 5, 3, 2
# Brightness and colour; of red, green and blue in Y, Cb and Cr (BT.601).
LEVEL_CHANNELS = 2
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
# Upper bound of a level, as a multiple of the picture's standard deviation in the cells around; noise that is blurred
# over pixels varies less there.
MOST = 1.5
# Of a level's logarithm: from a twentieth to 256.
LOWEST, HIGHEST = -3.0, math.log(256)
# A cell trusts what it says by factors of at most e to this.
SUREST = 8.0
# Rows of cells that say something at a time, always the same ones, so that rounding is the same too.
AT_ONCE = 16
# Rows of cells that what one says depends on to either side: energies around it, and the pixels around those.
STATEMENT_REACH = 2 ** (ENERGY_SCALES - 1)


class BandEstimator:
    """Picture -> standard deviations of its brightness and its colour noise.

    Args:
        weights: its tensors, named as in `lnca.nn.noise_level.NoiseEstimator`.
        engine: what runs the filters.

    Raises:
        LncaError: a tensor is missing or has another shape.
    """

    def __init__(self, weights: Weights, engine: Engine):
        first = convolution(weights.within("filters.0"), 3, None, bias=False, exact=True)
        others = [
            convolution(weights.within(f"filters.{scale}"), 3, first.outputs, bias=False, exact=True)
            for scale in range(1, SCALES)
        ]
        self.filters: list[Convolution] = [engine.convolution(layer) for layer in (first, *others)]
        heard = ENERGY_SCALES * (SCALES * first.outputs + 3)
        say = [convolution(weights.within("say.0"), heard, None, 1)]
        say.append(convolution(weights.within("say.2"), say[0].outputs, say[0].outputs, 1))
        say.append(convolution(weights.within("say.4"), say[0].outputs, None, 1))
        conclude = [convolution(weights.within("conclude.0"), None, None, 1)]
        conclude.append(convolution(weights.within("conclude.2"), conclude[0].outputs, LEVEL_CHANNELS, 1))
        # What cells say and how far it is to be trusted are as many; what each keeps for itself is beside them.
        self.shared = say[-1].outputs - conclude[0].inputs
        self._say, self._conclude = (
            [(layer.kernel[0, 0].astype(np.float32), layer.bias.astype(np.float32)) for layer in layers]
            for layers in (say, conclude)
        )

    def levels(self, image: RowReader, height: int) -> np.ndarray:
        """What it says of a picture that is read in bands of rows, (B, 2, height / 8, W / 8).

        Args:
            image: gives rows [begin, end) of the picture, (B, rows, W, 3); W is a multiple of 8.
            height: its rows, a multiple of 8.
        """
        rows, parts = height // SIDE, []
        for begin in range(0, rows, AT_ONCE):
            end = min(begin + AT_ONCE, rows)
            top, bottom = max(begin - STATEMENT_REACH, 0), min(end + STATEMENT_REACH, rows)
            energies = self.energies(image(top * SIDE, bottom * SIDE))
            # A row of cells at an end that is no border of the picture has seen a mirrored one.
            parts.append(self.statements(energies)[:, begin - top : end - top])
        return np.ascontiguousarray(self.pooled_levels(np.concatenate(parts, 1)).transpose(0, 3, 1, 2))

    def energies(self, image_BHWC: np.ndarray) -> np.ndarray:
        """Of each cell: logarithms of the filters' mean squares, the mean colour, and the variances of brightness and
        of colour in it; (B, H / 8, W / 8, channels)."""
        parts = []
        for scale, layer in enumerate(self.filters):
            small = means(image_BHWC, 2**scale)
            room = np.pad(small, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
            rows = room.shape[1]
            answers = layer(Band(room, 0, rows), 1, rows - 1).values[:, :, 1:-1]
            energy = means(np.square(answers), SIDE >> scale)
            parts.append(np.log(energy + np.float32(LITTLE)) / 2 + 4)
        return np.concatenate([*parts, means(image_BHWC, SIDE) - np.float32(0.5), _variances(image_BHWC)], -1)

    def statements(self, energies_BhwC: np.ndarray) -> np.ndarray:
        """What each cell says times how far it is to be trusted, that, and what it keeps for itself: (B, H / 8, W / 8,
        2 shared + own)."""
        around = np.concatenate(widened(energies_BhwC[..., :-LEVEL_CHANNELS], ENERGY_SCALES), -1)
        said = _mapped(around, self._say)
        trust = np.exp(np.clip(said[..., self.shared : 2 * self.shared], -SUREST, SUREST))
        variances = widened(energies_BhwC[..., -LEVEL_CHANNELS:], ENERGY_SCALES)[-1]
        told = said[..., : self.shared] * trust
        return np.concatenate([told, trust, said[..., 2 * self.shared :], variances], -1)

    def pooled_levels(self, said_BhwC: np.ndarray) -> np.ndarray:
        """The levels (B, H / 8, W / 8, 2) that follow from the `statements` of all cells of a picture."""
        wide = widened(said_BhwC[..., : 2 * self.shared], STATEMENT_SCALES)[-1]
        common = wide[..., : self.shared] / wide[..., self.shared :]
        levels = _mapped(
            np.concatenate([common, said_BhwC[..., 2 * self.shared : -LEVEL_CHANNELS]], -1), self._conclude
        )
        # Noise is not much louder than the picture varies.
        variances = widened(said_BhwC[..., -LEVEL_CHANNELS:], ENERGY_SCALES)[-1]
        most = np.float32(255 * MOST) * np.sqrt(np.maximum(variances - np.float32(LITTLE), 0))
        levels = np.minimum(np.exp(np.clip(levels, LOWEST, HIGHEST)), most)
        return widened(levels, LEVEL_SCALES)[-1]


def means(x_BHWC: np.ndarray, side: int) -> np.ndarray:
    """Of blocks of side x side positions."""
    if side == 1:
        return x_BHWC
    batch, rows, columns, channels = x_BHWC.shape
    across = x_BHWC.reshape(batch, rows, columns // side, side, channels).sum(3)
    down = across.reshape(batch, rows // side, side, columns // side, channels).sum(2)
    return down / np.float32(side * side)


def widened(x_BhwC: np.ndarray, scales: int) -> list[np.ndarray]:
    """Means of what cells have over wider and wider surroundings, which begin with their own; see
    `lnca.nn.surroundings`."""
    found = [x_BhwC]
    for scale in range(scales - 1):
        found.append(_smoothed(_smoothed(found[-1], 1, 2**scale), 2, 2**scale))
    return found


def _smoothed(x: np.ndarray, axis: int, hole: int) -> np.ndarray:
    """The binomial filter 1/4, 1/2, 1/4 with holes, along one axis."""
    place, last = np.arange(x.shape[axis]), x.shape[axis] - 1
    before, after = (x.take(np.clip(place + shift, 0, last), axis) for shift in (-hole, hole))
    return (before + after) / 4 + x / 2


def _mapped(x: np.ndarray, maps: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Linear maps of each cell, with what is below 0 cut off between them."""
    for number, (weight, bias) in enumerate(maps):
        x = multiplied(np.maximum(x, 0) if number else x, weight) + bias
    return x


def _variances(image_BHWC: np.ndarray) -> np.ndarray:
    """Variances of brightness and of colour in each cell, on the scale of the levels: (B, H / 8, W / 8, 2)."""
    weights = np.array(YCBCR, np.float32)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    parts = image_BHWC @ weights.T
    batch, rows, columns, _ = parts.shape
    cells = parts.reshape(batch, rows // SIDE, SIDE, columns // SIDE, SIDE, 3)
    variance = np.square(cells - cells.mean((2, 4), keepdims=True)).mean((2, 4))
    return np.stack([variance[..., 0], variance[..., 1:].mean(-1)], -1)

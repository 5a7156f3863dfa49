"""Estimates the noise level of a picture, in bands of rows. `lnca.nn.noise_level` explains and trains the estimator.

Shape suffixes: B batch, H rows, W columns, C channels; h and w are cells of 8x8 pixels.
"""

import math

import numpy as np

from .arrays import RowReader
from .convolution import Band, Convolution, multiplied
from .engine import Engine
from .layers import convolution
from .weights import Weights

# Side of a cell in pixels.
SIDE = 8
# Number of scales of the filters.
SCALES = 3
# Added to mean squares before the logarithm: the square of a twentieth of an 8-bit step.
ENERGY_FLOOR = (0.05 / 255) ** 2
# Numbers of scales over which features, energies and levels are averaged, see `widened`.
FEATURE_SCALES, ENERGY_SCALES, LEVEL_SCALES = 5, 3, 2
# Channels of a level map: brightness and colour. Weights of red, green and blue in Y, Cb and Cr (BT.601).
LEVEL_CHANNELS = 2
YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
# Upper bound of a level, as a multiple of the picture's standard deviation in the surrounding cells. It is above 1,
# because noise that is correlated between pixels has a smaller standard deviation within a cell.
MAX_LEVEL_RATIO = 1.5
# Bounds of the logarithm of a level: levels from 0.05 to 256.
MIN_LOG_LEVEL, MAX_LOG_LEVEL = -3.0, math.log(256)
# Bound of the absolute logarithm of a cell's confidence.
MAX_LOG_CONFIDENCE = 8.0
# Rows of cells that are computed at a time. They are always the same ones, so that rounding is the same too.
BAND_ROWS = 16
# Radius of the receptive field of a cell's features, in cells: the surrounding energies, and the pixels around those.
FEATURE_REACH = 2 ** (ENERGY_SCALES - 1)


class BandEstimator:
    """Estimates the standard deviations of brightness noise and colour noise of a picture, in 255ths.

    Args:
        weights: the tensors, named as in `lnca.nn.noise_level.NoiseEstimator`.
        engine: computes the filters.

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
        inputs = ENERGY_SCALES * (SCALES * first.outputs + 3)
        to_features = [convolution(weights.within("say.0"), inputs, None, 1)]
        to_features.append(convolution(weights.within("say.2"), to_features[0].outputs, to_features[0].outputs, 1))
        to_features.append(convolution(weights.within("say.4"), to_features[0].outputs, None, 1))
        to_levels = [convolution(weights.within("conclude.0"), None, None, 1)]
        to_levels.append(convolution(weights.within("conclude.2"), to_levels[0].outputs, LEVEL_CHANNELS, 1))
        # The outputs are the shared features, a confidence for each, and the cell's own features. The second network
        # reads shared and own features.
        self.shared = to_features[-1].outputs - to_levels[0].inputs
        self._to_features, self._to_levels = (
            [(layer.kernel[0, 0].astype(np.float32), layer.bias.astype(np.float32)) for layer in layers]
            for layers in (to_features, to_levels)
        )

    def levels(self, image: RowReader, height: int) -> np.ndarray:
        """The levels of a picture, (B, 2, height / 8, W / 8), in 255ths.

        Args:
            image: gives rows [begin, end) of the picture, (B, rows, W, 3) in [0, 1]; W is a multiple of 8.
            height: number of rows of the picture, a multiple of 8.
        """
        rows, parts = height // SIDE, []
        for begin in range(0, rows, BAND_ROWS):
            end = min(begin + BAND_ROWS, rows)
            top, bottom = max(begin - FEATURE_REACH, 0), min(end + FEATURE_REACH, rows)
            energies = self.energies(image(top * SIDE, bottom * SIDE))
            # The outermost rows of cells of a band saw mirrored pixels; inside the picture they are not used.
            parts.append(self.features(energies)[:, begin - top : end - top])
        return np.ascontiguousarray(self.pooled_levels(np.concatenate(parts, 1)).transpose(0, 3, 1, 2))

    def energies(self, image_BHWC: np.ndarray) -> np.ndarray:
        """For each cell the logarithms of the filters' mean squares, the mean colour, and the variances of brightness
        and colour; (B, H / 8, W / 8, channels)."""
        parts = []
        for scale, layer in enumerate(self.filters):
            small = means(image_BHWC, 2**scale)
            padded = np.pad(small, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
            rows = padded.shape[1]
            filtered = layer(Band(padded, 0, rows), 1, rows - 1).values[:, :, 1:-1]
            energy = means(np.square(filtered), SIDE >> scale)
            parts.append(np.log(energy + np.float32(ENERGY_FLOOR)) / 2 + 4)
        return np.concatenate([*parts, means(image_BHWC, SIDE) - np.float32(0.5), _variances(image_BHWC)], -1)

    def features(self, energies_BhwC: np.ndarray) -> np.ndarray:
        """The shared features times the confidence, the confidence, the own features, and the averaged variances of
        each cell: (B, H / 8, W / 8, 2 shared + own + 2)."""
        around = np.concatenate(widened(energies_BhwC[..., :-LEVEL_CHANNELS], ENERGY_SCALES), -1)
        raw = _linear_maps(around, self._to_features)
        confidence = np.exp(np.clip(raw[..., self.shared : 2 * self.shared], -MAX_LOG_CONFIDENCE, MAX_LOG_CONFIDENCE))
        variances = widened(energies_BhwC[..., -LEVEL_CHANNELS:], ENERGY_SCALES)[-1]
        weighted = raw[..., : self.shared] * confidence
        return np.concatenate([weighted, confidence, raw[..., 2 * self.shared :], variances], -1)

    def pooled_levels(self, features_BhwC: np.ndarray) -> np.ndarray:
        """The levels (B, H / 8, W / 8, 2) in 255ths, computed from the `features` of all cells of a picture."""
        wide = widened(features_BhwC[..., : 2 * self.shared], FEATURE_SCALES)[-1]
        shared_mean = wide[..., : self.shared] / wide[..., self.shared :]
        levels = _linear_maps(
            np.concatenate([shared_mean, features_BhwC[..., 2 * self.shared : -LEVEL_CHANNELS]], -1), self._to_levels
        )
        # The noise cannot be much larger than the variation of the picture.
        variances = widened(features_BhwC[..., -LEVEL_CHANNELS:], ENERGY_SCALES)[-1]
        bound = np.float32(255 * MAX_LEVEL_RATIO) * np.sqrt(np.maximum(variances - np.float32(ENERGY_FLOOR), 0))
        levels = np.minimum(np.exp(np.clip(levels, MIN_LOG_LEVEL, MAX_LOG_LEVEL)), bound)
        return widened(levels, LEVEL_SCALES)[-1]


def means(x_BHWC: np.ndarray, side: int) -> np.ndarray:
    """Means over blocks of side x side positions: (B, H, W, C) -> (B, H / side, W / side, C)."""
    if side == 1:
        return x_BHWC
    batch, rows, columns, channels = x_BHWC.shape
    # Rows first: numpy adds long contiguous rows fast.
    down = x_BHWC.reshape(batch, rows // side, side, columns, channels).sum(2)
    across = down.reshape(batch, rows // side, columns // side, side, channels).sum(3)
    return across / np.float32(side * side)


def widened(x_BhwC: np.ndarray, scales: int) -> list[np.ndarray]:
    """Means of the cells' channels (B, h, w, C) over wider and wider neighbourhoods, beginning with the cell itself;
    see `lnca.nn.surroundings`."""
    averaged = [x_BhwC]
    for scale in range(scales - 1):
        averaged.append(_smoothed(_smoothed(averaged[-1], 1, 2**scale), 2, 2**scale))
    return averaged


def _smoothed(x: np.ndarray, axis: int, dilation: int) -> np.ndarray:
    """Applies the binomial filter 1/4, 1/2, 1/4 with a dilation, along one axis."""
    position, last = np.arange(x.shape[axis]), x.shape[axis] - 1
    before, after = (x.take(np.clip(position + shift, 0, last), axis) for shift in (-dilation, dilation))
    return (before + after) / 4 + x / 2


def _linear_maps(x: np.ndarray, maps: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Linear maps of the channels of each cell, with ReLU between them."""
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
    difference = cells - means(parts, SIDE)[:, :, None, :, None]
    variance = means(np.square(difference).reshape(parts.shape), SIDE)
    return np.stack([variance[..., 0], variance[..., 1:].mean(-1)], -1)

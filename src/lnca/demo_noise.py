"""Noise of a camera at night on one photograph, in numpy, for the demonstration of `photo-denoise`.

It follows `lnca.degradation.sensor` (after Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019)
with a single camera: the picture is converted back to linear light and the sensor's colours, where shot and read noise
are added; the noise is demosaiced and developed with the picture.
"""

import numpy as np

GAMMA = 2.2
# Matrix from linear sRGB to the sensor, a mixture of the four cameras of Brooks et al., and the factors of white
# balance for red, green and blue.
SENSOR = np.array([[0.5901, 0.2728, 0.1371], [0.0750, 0.7144, 0.2106], [0.0091, 0.2189, 0.7720]])
GAINS = np.array([2.12, 1.0, 2.21])
# Line from the logarithm of the variance of shot noise to that of read noise (Brooks et al., (2)).
READ_SLOPE, READ_OFFSET = 2.18, 1.2


def night_noise(image_HWC: np.ndarray, shot: float, draw: np.random.Generator) -> np.ndarray:
    """Adds the noise of a sensor in the dark: coarse, coloured, and stronger in bright areas.

    Args:
        image_HWC: a picture (H, W, 3), floating point in [0, 1].
        shot: variance of the shot noise of white.

    Returns:
        The same shape, float32 in [0, 1].
    """
    to_sensor = SENSOR / GAINS[:, None]
    linear = _linear_light(image_HWC.astype(np.float64))
    signal = (linear @ to_sensor.T).clip(min=0)
    read = np.exp(READ_SLOPE * np.log(shot) + READ_OFFSET)
    noise = demosaiced(np.sqrt(shot * signal + read) * draw.standard_normal(signal.shape))
    return _displayed(linear + noise @ np.linalg.inv(to_sensor).T).astype(np.float32)


def demosaiced(image_HWC: np.ndarray) -> np.ndarray:
    """Samples an RGGB mosaic, one colour a pixel, and demosaics it to (H, W, 3): each colour is the mean of its nearest
    measured pixels; borders are mirrored."""
    height, width = image_HWC.shape[:2]
    row, column = np.arange(height)[:, None] % 2, np.arange(width) % 2
    measured = np.stack([(row == 0) & (column == 0), row != column, (row == 1) & (column == 1)], -1)
    padded = np.pad(image_HWC * measured, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    # Weights of a pixel, of its neighbours in rows and columns, and of its corners, which green does not use.
    beside, corners = np.array([0.5, 0.25, 0.5]), np.array([0.25, 0.0, 0.25])
    result = np.zeros_like(image_HWC)
    for down in range(3):
        for right in range(3):
            weights = (1.0, beside, corners)[abs(down - 1) + abs(right - 1)]
            result += weights * padded[down : down + height, right : right + width]
    return result


def _linear_light(image_HWC: np.ndarray) -> np.ndarray:
    """Linear light of displayed values, which have the tone curve v v (3 - 2 v)."""
    return (0.5 - np.sin(np.arcsin(1 - 2 * image_HWC) / 3)).clip(min=0) ** GAMMA


def _displayed(linear_HWC: np.ndarray) -> np.ndarray:
    """The inverse of `_linear_light`; light is clipped to [0, 1]."""
    values = linear_HWC.clip(0, 1) ** (1 / GAMMA)
    return values * values * (3 - 2 * values)

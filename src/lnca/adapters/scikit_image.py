"""Denoising as `skimage.restoration` has it: arrays, floating point out, and `channel_axis`. Needs no scikit-image."""

from typing import Any

import numpy as np

from ..catalogue import DEFAULT_MODEL
from ..errors import LncaError
from ..restoration.restorer import loaded

# Noise may carry floating-point values beyond [0, 1] so far; a picture on another scale goes further.
OVERSHOOT = 1.0


def denoise(
    image: np.ndarray,
    model: Any = DEFAULT_MODEL,
    *,
    steps: int | None = None,
    strength: float = 1.0,
    channel_axis: int | None = None,
    sigma: float | None = None,
    data_range: float | None = None,
) -> np.ndarray:
    """The denoised image, as `skimage.restoration.denoise_nl_means` and its like give it.

    Args:
        image: (M, N) grey, or with one axis more for channels, and any number before them in a stack; bool, uint8,
            uint16, or floating point in [0, data_range], and any whole numbers where `data_range` is told. What noise
            has carried beyond is clipped where `sigma` is not told. Sides >= 8.
        model: a name from `lnca.models()`, or a weight file; the last one stays loaded.
        steps: steps of the automaton; the model's own number when None.
        strength: share of the restored image in what comes out, 0 to 1.
        channel_axis: the axis of the channels; None for a grey image. Three channels are restored together, as red,
            green and blue; any other number one by one, as grey images.
        sigma: standard deviation of the noise, on the scale of what is returned; the model estimates it when None.
        data_range: what white is, such as 4095 of 12 bits in uint16; when None, 1 of floating point, and the highest
            whole number of the data type.

    Returns:
        Floating point in [0, data_range], [0, 1] where it is None, of the same shape: float32 of float16 and float32,
        float64 of all else.

    Raises:
        LncaError: too few axes, another data type, NaN, values far beyond the range, a side below 8, no such model.
    """
    white = 1.0 if data_range is None else float(data_range)
    if not 0 < white < float("inf"):
        raise LncaError(f"data_range should be above 0, got {white:g}")
    values = _in_floating_point(_as_data(np.asarray(image), data_range is not None), white, sigma is not None)
    options: dict[str, Any] = {"steps": steps, "strength": strength}
    if sigma is not None:
        options["noise_level"] = 255 * sigma / white
    return loaded(model).restore(values, channel_axis=channel_axis, **options) * white


def _as_data(image: np.ndarray, ranged: bool) -> np.ndarray:
    """Whole numbers in floating point, in [0, 1] unless a range is told of them; other values as they are."""
    if image.dtype.kind in "ui" and ranged:
        return image.astype(np.float64)
    if image.dtype in (np.uint8, np.uint16):
        return image / np.float64(np.iinfo(image.dtype).max)
    if image.dtype == bool:
        return image.astype(np.float64)
    if image.dtype not in (np.float16, np.float32, np.float64):
        hint = "; say what white is with data_range" if image.dtype.kind in "ui" else ""
        raise LncaError(f"an image should be bool, uint8, uint16 or floating point in [0, 1], got {image.dtype}{hint}")
    return image


def _in_floating_point(image: np.ndarray, white: float, told: bool) -> np.ndarray:
    """float32 or float64, white at 1; in [0, 1] but where the noise is told."""
    values: np.ndarray = image.astype(np.float64 if image.dtype == np.float64 else np.float32, copy=False)
    values = values if white == 1 else values / np.asarray(white, values.dtype)
    if told and np.isfinite(values).all():
        return values
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (low >= -OVERSHOOT and high <= 1 + OVERSHOOT):
        found = "NaN" if np.isnan(values).any() else f"values from {low * white:g} to {high * white:g}"
        raise LncaError(f"values should lie in [0, {white:g}], but for noise, got {found}; scale them first")
    return values.clip(0, 1)

"""Stacks of images in the values that a microscope gives them, denoised plane by plane; needs no napari."""

from collections.abc import Generator
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lnca import LncaError

if TYPE_CHECKING:
    from lnca.restoration.restorer import Restorer

# The highest noise level that a model takes, in 255ths.
MAX_NOISE_LEVEL = 255.0


class Range(Enum):
    """Which values are black and white to the model."""

    VALUES = "lowest and highest value"
    LIMITS = "contrast limits"
    TYPE = "data type"


class Ends(NamedTuple):
    """The values of black and white."""

    black: float
    white: float


def places(shape: tuple[int, ...], rgb: bool) -> list[tuple[int, ...]]:
    """Where the planes of a stack are: indices of the axes before rows, columns and, of RGB, channels.

    Raises:
        LncaError: fewer axes than a plane has.
    """
    axes = 3 if rgb else 2
    if len(shape) < axes:
        raise LncaError(f"an image needs {axes} axes, got the shape {shape}")
    return list(np.ndindex(shape[:-axes]))


def ends(data: Any, rgb: bool, which: Range, limits: tuple[float, float]) -> Ends:
    """The values of black and white of a stack, the same in all of its planes.

    Args:
        data: see `denoised`.
        limits: the layer's contrast limits, for `Range.LIMITS`.

    Raises:
        LncaError: values that are no numbers, or not finite; floating point has no range of its type but [0, 1].
    """
    dtype = np.dtype(data.dtype)
    if dtype.kind not in "uif":
        raise LncaError(f"a layer should hold whole or floating-point numbers, got {dtype}")
    if which is Range.LIMITS:
        return Ends(*map(float, limits))
    if which is Range.TYPE:
        return Ends(0.0, 1.0) if dtype.kind == "f" else Ends(float(min(0, np.iinfo(dtype).min)), np.iinfo(dtype).max)
    planes = [np.asarray(data[place]) for place in places(data.shape, rgb)]
    low, high = float(min(plane.min() for plane in planes)), float(max(plane.max() for plane in planes))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise LncaError("the layer holds NaN or infinite values; replace them first")
    return Ends(low, high)


def denoised(
    data: Any, rgb: bool, between: Ends, restorer: "Restorer", noise: float = 0.0, strength: float = 1.0
) -> Generator[int, None, np.ndarray]:
    """Denoises a stack plane by plane; yields how many are done, and returns the stack.

    Args:
        data: (..., Y, X) grey, or (..., Y, X, 3 or 4) where `rgb`, an array or what can be indexed like one (dask,
            zarr); sides >= 8. All axes before are of time, depth or channels.
        between: the values of black and white; what lies outside stays as it is.
        noise: standard deviation of the noise in the units of the data; 0 lets the model estimate it in each plane.
        strength: share of the denoised stack in what comes out, 0 to 1.

    Returns:
        The same shape, data type and range of values.

    Raises:
        LncaError: see `ends`; white is not above black; noise beyond their distance, or for a model that takes none;
            sides below 8.
    """
    span = between.white - between.black
    if not span > 0:
        raise LncaError(f"white should be above black, got {between.white:g} and {between.black:g}")
    told: dict[str, Any] = {"noise_level": MAX_NOISE_LEVEL * noise / span} if noise else {}
    result = np.empty(data.shape, data.dtype)
    for number, place in enumerate(places(data.shape, rgb)):
        plane = np.asarray(data[place])
        values = ((plane - between.black) / span).astype(np.float32)
        inside = (values >= 0) & (values <= 1)
        restored = restorer.restore(values.clip(0, 1), strength=strength, **told) * span + between.black
        if result.dtype.kind != "f":
            restored = np.round(restored)
        result[place] = np.where(inside, restored, plane)
        yield number + 1
    return result

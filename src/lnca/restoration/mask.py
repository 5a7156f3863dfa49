"""Masks of where to restore: a rectangle, a grey picture, or both."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import LncaError
from ..images.limits import PIXEL_LIMIT
from ..images.photo import LUMA, colours_of, of_depth
from ..images.reading import open_photo

# Pixels over which a rectangle's border fades.
FEATHER = 8


def mask_of(
    width: int,
    height: int,
    region: tuple[int, int, int, int] | None,
    picture: Path | np.ndarray | None,
    max_pixels: int = PIXEL_LIMIT,
) -> np.ndarray | None:
    """The share of the restored picture in each pixel, float32 (height, width) in [0, 1]; None restores everywhere.

    Args:
        width, height: size of the picture.
        region: left, top, width, height; it fades inside its border.
        picture: a file of that size, white where to restore, or the shares themselves.
        max_pixels: largest number of pixels of that file.

    Raises:
        LncaError: the region lies outside the picture, or the mask cannot be read or has another size.
    """
    mask = None
    if region is not None:
        left, top, wide, high = region
        if left >= width or top >= height:
            raise LncaError(f"the region begins at {left},{top}, outside the picture of {width}x{height}")
        mask = np.outer(_faded(height, top, high), _faded(width, left, wide)).astype(np.float32)
    if picture is not None:
        drawn = _drawn(picture, max_pixels) if isinstance(picture, Path) else picture
        if drawn.shape != (height, width):
            name = f"{picture} " if isinstance(picture, Path) else ""
            raise LncaError(
                f"the mask {name}is {drawn.shape[1]}x{drawn.shape[0]}, the picture {width}x{height}; "
                "they should have the same size"
            )
        mask = drawn if mask is None else mask * drawn
    return mask


def _faded(size: int, begin: int, length: int) -> np.ndarray:
    """1 inside, 0 outside, and a ramp at each end that is not an end of the picture."""
    place = np.arange(size) + 0.5
    end = min(begin + length, size)
    before = (place - begin) / FEATHER if begin else np.ones(size)
    after = (end - place) / FEATHER if end < size else np.ones(size)
    return np.minimum(before, after).clip(0, 1)


@lru_cache(1)
def _drawn(path: Path, max_pixels: int) -> np.ndarray:
    frame = colours_of(of_depth(open_photo(path, max_pixels).frames[0], np.uint16))
    if frame.ndim == 3:
        frame = frame[..., 0] if frame.shape[2] == 1 else frame @ np.array(LUMA)
    return (frame / 65535).astype(np.float32)

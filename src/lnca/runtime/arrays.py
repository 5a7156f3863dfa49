"""Arrays as the kernels want them, and pictures in blocks.

Shape suffixes: B batch, H rows, W columns, C channels.
"""

import math
from collections.abc import Callable

import numpy as np

# Of arithmetic.
Float = type[np.float32] | type[np.float64]

# Gives rows [begin, end) of a picture, float32 (B, rows, W, C).
RowReader = Callable[[int, int], np.ndarray]

# Bytes of a line of the cache.
LINE = 64


def empty(*shape: int, dtype: type = np.float32) -> np.ndarray:
    """An array whose first number begins a line of the cache, so that no vector or tile lies across two."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    # A kernel may read, and not use, what lies behind the last number.
    room = np.empty(size + 2 * LINE, np.uint8)
    first = -room.ctypes.data % LINE
    return room[first : first + size].view(dtype).reshape(shape)


def aligned(x: np.ndarray, dtype: type = np.float32, width: int | None = None) -> np.ndarray:
    """A copy in such an array, along the last axis filled up with zeros to `width` numbers."""
    size = x.shape[-1]
    result = empty(*x.shape[:-1], size if width is None else width, dtype=dtype)
    result[..., :size], result[..., size:] = x, 0
    return result


def unshuffled(x_BHWC: np.ndarray, side: int) -> np.ndarray:
    """Each block of side x side positions becomes one, its channels by row, column and channel."""
    batch, rows, columns, channels = x_BHWC.shape
    blocks = x_BHWC.reshape(batch, rows // side, side, columns // side, side * channels).swapaxes(2, 3)
    return blocks.reshape(batch, rows // side, columns // side, side * side * channels)


def shuffled(x_BHWC: np.ndarray, side: int) -> np.ndarray:
    """The inverse of `unshuffled`."""
    batch, rows, columns, channels = x_BHWC.shape
    blocks = x_BHWC.reshape(batch, rows, columns, side, channels // side).swapaxes(2, 3)
    return blocks.reshape(batch, rows * side, columns * side, channels // side**2)

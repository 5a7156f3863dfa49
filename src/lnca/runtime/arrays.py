"""Aligned arrays for the kernels, and conversion of pictures to blocks and back.

Shape suffixes: B batch, H rows, W columns, C channels.
"""

import math
from collections.abc import Callable

import numpy as np

# Precision of the arithmetic.
Float = type[np.float32] | type[np.float64]

# Returns rows [begin, end) of a picture, float32 (B, rows, W, C).
RowReader = Callable[[int, int], np.ndarray]

# Bytes of a cache line.
CACHE_LINE = 64


def empty(*shape: int, dtype: type = np.float32) -> np.ndarray:
    """An uninitialised array that starts at a cache line, so that no vector or tile crosses one."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    # A kernel may load numbers beyond the last one, without using them.
    buffer = np.empty(size + 2 * CACHE_LINE, np.uint8)
    first = -buffer.ctypes.data % CACHE_LINE
    return buffer[first : first + size].view(dtype).reshape(shape)


def aligned(x: np.ndarray, dtype: type = np.float32, width: int | None = None) -> np.ndarray:
    """An aligned copy (see `empty`), its last axis padded with zeros to `width` numbers; not padded if None."""
    size = x.shape[-1]
    result = empty(*x.shape[:-1], size if width is None else width, dtype=dtype)
    result[..., :size], result[..., size:] = x, 0
    return result


def unshuffled(x_BHWC: np.ndarray, side: int) -> np.ndarray:
    """Each block of side x side positions becomes one position: (B, H, W, C) -> (B, H / side, W / side, side^2 C), the
    channels in order of row, column and channel."""
    batch, rows, columns, channels = x_BHWC.shape
    blocks = x_BHWC.reshape(batch, rows // side, side, columns // side, side * channels).swapaxes(2, 3)
    return blocks.reshape(batch, rows // side, columns // side, side * side * channels)


def shuffled(x_BHWC: np.ndarray, side: int) -> np.ndarray:
    """The inverse of `unshuffled`: (B, H, W, side^2 C) -> (B, side H, side W, C)."""
    batch, rows, columns, channels = x_BHWC.shape
    blocks = x_BHWC.reshape(batch, rows, columns, side, channels // side).swapaxes(2, 3)
    return blocks.reshape(batch, rows * side, columns * side, channels // side**2)

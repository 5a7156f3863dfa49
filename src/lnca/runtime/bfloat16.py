"""Weights in bfloat16, in the layouts that the CPU kernels read."""

import numpy as np


def rounded(x: np.ndarray) -> np.ndarray:
    """float32 numbers rounded to the nearest bfloat16, ties to even; the 16 bits of each as uint32."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def pairs(weight: np.ndarray) -> np.ndarray:
    """Pairs of rows in bfloat16, (K, N) -> int32 (K / 2, N): the lower half of a word is of row 2k, the upper half of
    row 2k + 1."""
    words = rounded(weight)
    return np.ascontiguousarray(words[0::2] | words[1::2] << 16).view(np.int32)


def tiles(weight: np.ndarray) -> np.ndarray:
    """Pairs of rows in AMX tiles, (K, N) -> int32 (N / 16, K / 32, 16, 16). N is a multiple of 16; K is padded with
    zeros to a multiple of 32."""
    words = pairs(np.pad(weight, ((0, -len(weight) % 32), (0, 0))))
    return words.reshape(len(words) // 16, 16, -1, 16).transpose(2, 0, 1, 3)

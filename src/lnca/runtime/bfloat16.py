"""Weights of matrix products in bfloat16, as the CPU kernels read them."""

import numpy as np


def rounded(x: np.ndarray) -> np.ndarray:
    """The upper halves of float32 numbers, uint32, rounded to the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def pairs(weight: np.ndarray) -> np.ndarray:
    """(K, N) -> int32 (K / 2, N): rows 2k in the lower and 2k + 1 in the upper half, rounded to bfloat16."""
    words = rounded(weight)
    return np.ascontiguousarray(words[0::2] | words[1::2] << 16).view(np.int32)


def tiles(weight: np.ndarray) -> np.ndarray:
    """(K, N), N a multiple of 16 -> int32 (N / 16, K / 32, 16, 16): pairs in tiles of AMX, K filled up with zeros."""
    words = pairs(np.pad(weight, ((0, -len(weight) % 32), (0, 0))))
    return words.reshape(len(words) // 16, 16, -1, 16).transpose(2, 0, 1, 3)

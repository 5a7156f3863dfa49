"""Weights of matrix products in bfloat16, as the CPU kernels read them."""

import numpy as np
import torch


def pairs(weight: np.ndarray) -> np.ndarray:
    """(K, N) -> int32 (K / 2, N): rows 2k in the lower and 2k + 1 in the upper half, rounded to bfloat16."""
    words = torch.from_numpy(weight).float().bfloat16().view(torch.int16).numpy().view(np.uint16).astype(np.uint32)
    return np.ascontiguousarray(words[0::2] | words[1::2] << 16).view(np.int32)


def tiles(weight: np.ndarray) -> np.ndarray:
    """(K, N), N a multiple of 16 -> int32 (N / 16, K / 32, 16, 16): pairs in tiles of AMX, K filled up with zeros."""
    words = pairs(np.pad(weight, ((0, -len(weight) % 32), (0, 0))))
    return words.reshape(len(words) // 16, 16, -1, 16).transpose(2, 0, 1, 3)

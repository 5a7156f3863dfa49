"""bfloat16 numbers for the kernels agree with PyTorch."""

import numpy as np
import torch

from lnca.runtime.bfloat16 import pairs, rounded, tiles


def by_torch(x):
    return torch.from_numpy(x).bfloat16().view(torch.int16).numpy().view(np.uint16).astype(np.uint32)


def test_numbers_are_rounded_as_torch_does():
    draw = np.random.default_rng(0)
    bits = draw.integers(0, 2**32, 100_000, np.uint64).astype(np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x)]
    # Halfway between two numbers, round to even.
    ties = np.array([0x3F808000, 0x3F818000, 0xBF808000, 0x00008000, 0x7F7F8000], np.uint32).view(np.float32)
    for numbers in (x, ties, np.float32([0, -0.0, 1, 1e-40, 3.4e38])):
        assert np.array_equal(rounded(numbers), by_torch(numbers))


def test_pairs_and_tiles_hold_every_weight():
    weight = np.random.default_rng(1).standard_normal((40, 32))
    words = by_torch(weight.astype(np.float32))
    found = pairs(weight).view(np.uint32)
    assert np.array_equal(found & 0xFFFF, words[0::2])
    assert np.array_equal(found >> 16, words[1::2])
    tiled = tiles(weight).view(np.uint32)
    assert tiled.shape == (2, 2, 16, 16)
    # Two tiles of 16 columns, each of 32 rows at a time, filled up with zeros.
    together = tiled.transpose(1, 2, 0, 3).reshape(32, 32)
    assert np.array_equal(together[:20], found)
    assert not together[20:].any()

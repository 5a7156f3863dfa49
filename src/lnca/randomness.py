"""Random numbers that depend on a key, not on earlier draws.

Every (seed, phase, epoch, batch) gets a new generator, so a resumed run draws the same numbers as an uninterrupted one.
Only functions that return torch's generators or tensors import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MASK = 0xFFFFFFFF

# int64 of numpy or torch.
Integers = TypeVar("Integers", np.ndarray, "Tensor")


def derive(*key: int | str) -> int:
    """Derives a 63-bit seed from any integers and strings."""
    # Which loads OpenSSL, for commands that draw nothing too.
    import hashlib

    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def numpy_generator(*key: int | str) -> np.random.Generator:
    """A numpy generator, seeded by `derive(*key)`; it draws other numbers than `generator` with the same key."""
    return np.random.default_rng(derive(*key))


def generator(device: torch.device | str, *key: int | str) -> torch.Generator:
    """A generator on `device`, seeded by `derive(*key)`."""
    import torch

    return torch.Generator(device).manual_seed(derive(*key))


def uniform_grid(
    seed: int, step: int, height: int, width: int, *, device: torch.device | str = "cpu", top: int = 0
) -> Tensor:
    """Uniform numbers in [0, 1), (height, width) float64, each depending only on seed, step, row and column; the
    first row is row `top`.

    A counter-based generator: rounds of the 32-bit PCG hash (Jarzynski and Olano, "Hash Functions for GPU Rendering",
    JCGT 2020).
    """
    import torch

    row = torch.arange(top, top + height, device=device)[:, None]
    column = torch.arange(width, device=device)
    start = torch.tensor(derive(seed, step) & _MASK, device=device)
    return _scattered(start, row, column).double().mul(2.0**-32)


def uniform_grid_of(seed: int, step: int, height: int, width: int, top: int = 0) -> np.ndarray:
    """Like `uniform_grid`, as an array (height, width) float64; equal to the bit."""
    row = np.arange(top, top + height, dtype=np.int64)[:, None]
    column = np.arange(width, dtype=np.int64)
    start = np.array(derive(seed, step) & _MASK, dtype=np.int64)
    return _scattered(start, row, column) * 2.0**-32


def _scattered(start: Integers, row: Integers, column: Integers) -> Integers:
    """Hashes a start value, rows (height, 1) and columns (width,) to 32-bit numbers (height, width)."""
    value = _pcg(start)
    for coordinate in (row, column):
        value = _pcg(value + coordinate & _MASK)
    return value


def _pcg(value: Integers) -> Integers:
    """The PCG hash, a permutation of the 32-bit numbers."""
    state = value * 747796405 + 2891336453 & _MASK
    word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737 & _MASK
    return (word >> 22) ^ word

"""Random numbers that depend on where they are drawn, not on what was drawn before.

A generator for (seed, phase, epoch, batch) is made anew each time: a resumed run sees what an uninterrupted one sees.
"""

import hashlib

import torch
from torch import Tensor


def derive(*key: int | str) -> int:
    """A 63-bit seed from any integers and strings."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(device: torch.device | str, *key: int | str) -> torch.Generator:
    """A generator on `device`, seeded by `derive(*key)`."""
    return torch.Generator(device).manual_seed(derive(*key))


def uniform_grid(
    seed: int, step: int, height: int, width: int, *, device: torch.device | str = "cpu", top: int = 0
) -> Tensor:
    """Uniform numbers in [0, 1), (height, width), each a function of seed, step, row and column alone; the first row is
    row `top`.

    A counter-based generator: rounds of the 32-bit PCG hash (Jarzynski and Olano, "Hash Functions for GPU Rendering",
    JCGT 2020).
    """
    row = torch.arange(top, top + height, device=device)[:, None]
    column = torch.arange(width, device=device)
    value = _pcg(torch.tensor(derive(seed, step) & _MASK, device=device))
    for coordinate in (row, column):
        value = _pcg(value + coordinate & _MASK)
    return value.double().mul(2.0**-32)


_MASK = 0xFFFFFFFF


def _pcg(value: Tensor) -> Tensor:
    """A permutation of the 32-bit numbers that scatters neighbours."""
    state = value * 747796405 + 2891336453 & _MASK
    word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737 & _MASK
    return (word >> 22) ^ word

"""Random numbers that depend on where they are drawn, not on what was drawn before.

A generator for (seed, phase, epoch, batch) is made anew each time: a resumed run sees what an uninterrupted one sees.
"""

import hashlib

import torch


def derive(*key: int | str) -> int:
    """A 63-bit seed from any integers and strings."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(device: torch.device | str, *key: int | str) -> torch.Generator:
    """A generator on `device`, seeded by `derive(*key)`."""
    return torch.Generator(device).manual_seed(derive(*key))

"""Seeds from keys."""

import torch

from lnca.randomness import derive, generator


def test_every_part_of_the_key_matters_and_nothing_else():
    keys = [(0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1), (0, "a"), ("0", "a", 1)]
    assert len({derive(*key) for key in keys}) == len(keys)
    assert derive(0, "joint", 0, 99) == 6451442091379188503


def test_generators_of_a_key_draw_the_same():
    first, again = (torch.rand(3, generator=generator("cpu", 1, "x")) for _ in range(2))
    assert torch.equal(first, again)

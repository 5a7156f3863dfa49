"""Seeds from keys."""

import torch

from lnca.randomness import derive, generator, uniform_grid


def test_every_part_of_the_key_matters_and_nothing_else():
    keys = [(0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1), (0, "a"), ("0", "a", 1)]
    assert len({derive(*key) for key in keys}) == len(keys)
    assert derive(0, "joint", 0, 99) == 6451442091379188503


def test_generators_of_a_key_draw_the_same():
    first, again = (torch.rand(3, generator=generator("cpu", 1, "x")) for _ in range(2))
    assert torch.equal(first, again)


def test_the_grid_is_uniform_and_without_pattern():
    grid = uniform_grid(0, 0, 256, 256)
    assert 0 <= grid.min() < grid.max() < 1
    counts = torch.histc(grid, 16, 0, 1)
    assert ((counts / 256**2 * 16 - 1).abs() < 0.1).all()
    centred = grid - 0.5
    for other in (
        centred.roll(1, 0), centred.roll(1, 1), centred.T,
        uniform_grid(0, 1, 256, 256) - 0.5, uniform_grid(1, 0, 256, 256) - 0.5,
    ):  # fmt: skip
        assert abs((centred * other).mean().item() * 12) < 0.02


def test_the_grid_grows_without_changing():
    assert torch.equal(uniform_grid(5, 7, 9, 11), uniform_grid(5, 7, 20, 30)[:9, :11])

"""Seeds from keys."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from lnca.randomness import derive, generator, numpy_generator, uniform_grid, uniform_grid_of


def test_every_part_of_the_key_matters_and_nothing_else():
    keys = [(0, "a", 1), (0, "a", 2), (0, "b", 1), (1, "a", 1), (0, "a"), ("0", "a", 1)]
    assert len({derive(*key) for key in keys}) == len(keys)
    assert derive(0, "joint", 0, 99) == 6451442091379188503


def test_generators_of_a_key_draw_the_same():
    first, again = (torch.rand(3, generator=generator("cpu", 1, "x")) for _ in range(2))
    assert torch.equal(first, again)


def test_numpy_generators_of_a_key_draw_the_same():
    first, again, other = (numpy_generator(1, name).random(3) for name in ("x", "x", "y"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_grid_is_uniform_and_without_pattern():
    grid = uniform_grid(0, 0, 256, 256)
    assert 0 <= grid.min() < grid.max() < 1
    counts = torch.histc(grid, 16, 0, 1)
    assert ((counts / 256**2 * 16 - 1).abs() < 0.1).all()
    centred = grid - 0.5
    for other in (
        centred.roll(1, 0),
        centred.roll(1, 1),
        centred.T,
        uniform_grid(0, 1, 256, 256) - 0.5,
        uniform_grid(1, 0, 256, 256) - 0.5,
    ):
        assert abs((centred * other).mean().item() * 12) < 0.02


def test_the_grid_grows_without_changing():
    assert torch.equal(uniform_grid(5, 7, 9, 11), uniform_grid(5, 7, 20, 30)[:9, :11])


@pytest.mark.parametrize(
    ("seed", "step", "height", "width", "top"), [(0, 0, 64, 65, 0), (5, 7, 9, 11, 300), (-3, 41, 1, 2000, 2**31)]
)
def test_the_grid_of_numpy_is_that_of_torch_to_the_bit(seed, step, height, width, top):
    grid = uniform_grid_of(seed, step, height, width, top)
    assert grid.dtype == np.float64
    assert np.array_equal(grid, uniform_grid(seed, step, height, width, top=top).numpy())


def test_values_of_the_grid():
    assert (uniform_grid_of(0, 0, 2, 2) * 2**32).tolist() == [[2083927600, 1549146571], [3681341777, 2686378755]]


def test_numpy_alone_serves_without_torch():
    program = (
        "import sys; from lnca.randomness import uniform_grid_of as f; f(0, 0, 2, 2); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"

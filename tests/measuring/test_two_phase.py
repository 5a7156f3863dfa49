"""The peer of the deblurring benchmark finds kernels that it should find, and its steps are those of its equations."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from lnca.degradation.shake import shaken_kernel
from scenes import likeness, scene
from two_phase import (
    GAMMA,
    LAMBDA,
    blind_kernel,
    gradients,
    least_squares,
    moved,
    off_centre,
    resized,
    restored,
    shock,
    sides_of_scales,
    threshold,
    tidied,
    unblurred,
    usefulness,
)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_kernel_of_a_shaken_scene_is_found(seed):
    draw = np.random.default_rng(seed)
    truth = shaken_kernel(14, 19, draw)
    blurred = fftconvolve(scene(200, 1), truth, "valid")
    picture = blurred + draw.normal(0, 0.01, blurred.shape)
    kernel = blind_kernel(picture, 19)
    assert kernel.shape == (19, 19)
    assert kernel.dtype == np.float64
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1)
    assert off_centre(kernel) == (0, 0)
    assert likeness(kernel, truth) > 0.85
    # No point and no blob is so near to it.
    assert max(likeness(np.ones((side, side)), truth) for side in range(1, 20, 2)) < 0.7
    np.testing.assert_array_equal(blind_kernel(picture, 19), kernel)


def test_a_picture_without_gradients_has_no_blur():
    np.testing.assert_array_equal(blind_kernel(np.full((40, 50), 0.3), 5), unblurred(5))


@pytest.mark.parametrize(("shape", "side"), [((40, 40), 4), ((40, 40), 1), ((40, 18), 9)])
def test_sides_are_odd_and_fit_the_picture(shape, side):
    with pytest.raises(ValueError, match=f"a side of {side} for a picture of"):
        blind_kernel(np.zeros(shape), side)


def test_gradients_that_cancel_within_a_window_are_not_useful():
    edge, stripes = np.zeros((40, 40)), np.zeros((40, 40))
    edge[:, 20:], stripes[:, ::2] = 1, 1
    # Five gradients of 1 in a row of the window, of which each row has one.
    assert usefulness(edge)[20, 19] == pytest.approx(5 / 5.5)
    # Of five gradients in turn 1 and -1 in each row, one is left.
    assert usefulness(stripes)[20, 20] == pytest.approx(5 / 25.5)


def test_the_shock_filter_makes_a_soft_edge_steeper():
    soft = np.tile(1 / (1 + np.exp(-(np.arange(64) - 31.5) / 3)), (64, 1))
    made = shock(soft)
    assert np.diff(made[32, 16:48]).max() > 1.3 * np.diff(soft[32, 16:48]).max()
    assert made.min() >= soft.min() - 1e-9
    assert made.max() <= soft.max() + 1e-9


def test_enough_gradients_of_every_direction_pass_the_threshold():
    draw = np.random.default_rng(0)
    parts, inside = draw.normal(size=(2, 30, 30)), np.ones((30, 30), bool)
    parts[1] *= 0.2
    values = np.hypot(*parts)
    least = threshold(values, parts, inside, 20)
    groups = np.floor(np.arctan2(parts[1], parts[0]) / np.pi * 4 + 0.5) % 4
    passed = [int(((values >= least) & (groups == group)).sum()) for group in range(4)]
    assert min(passed) == 20


def test_the_kernel_solves_its_normal_equations():
    """(3) written out for a picture whose borders meet: with as many unknowns as pixels, the gradient is 0."""
    draw = np.random.default_rng(0)
    selected, blurred = draw.normal(size=(2, 2, 9, 9))
    kernel = least_squares(selected, blurred, 9)
    places = [(row, column) for row in range(-4, 5) for column in range(-4, 5)]
    columns = np.stack([np.roll(selected, place, (1, 2)).ravel() for place in places], 1)
    wanted = np.linalg.solve(columns.T @ columns + GAMMA * np.eye(81), columns.T @ blurred.ravel())
    np.testing.assert_allclose(kernel.ravel(), wanted, atol=1e-10)


def test_the_sharp_picture_has_the_least_cost():
    draw = np.random.default_rng(0)
    given, selected, kernel = draw.random((8, 10)), draw.normal(size=(2, 8, 10)), tidied(draw.random((3, 3)))

    def cost(sharp):
        offsets = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
        blurred = sum(kernel[row + 1, column + 1] * np.roll(sharp, (row, column), (0, 1)) for row, column in offsets)
        return np.square(blurred - given).sum() + LAMBDA * np.square(gradients(sharp) - selected).sum()

    sharp = restored(given, kernel, selected)
    least = cost(sharp)
    assert all(cost(sharp + 0.01 * draw.normal(size=sharp.shape)) > least for _ in range(20))


def test_small_values_and_patches_are_taken_away():
    kernel = np.zeros((7, 7))
    kernel[3, 2:5] = 4, 10, 6
    kernel[2, 3], kernel[0, 6], kernel[5, 1] = 0.4, 1.5, -3
    found = tidied(kernel)
    assert found[3, 2:5].tolist() == [0.2, 0.5, 0.3]
    assert np.count_nonzero(found) == 3
    np.testing.assert_array_equal(tidied(np.full((3, 3), -1.0)), unblurred(3))


def test_kernels_move_and_sides_grow():
    kernel = np.zeros((5, 5))
    kernel[0, 4] = 1
    assert off_centre(kernel) == (-2, 2)
    np.testing.assert_array_equal(moved(kernel, 2, -2), unblurred(5))
    assert sides_of_scales(3) == [3]
    sides = sides_of_scales(31)
    assert sides[0] == 3
    assert sides[-1] == 31
    assert all(side % 2 == 1 for side in sides)
    assert sides == sorted(set(sides))


def test_resizing_keeps_ramps_and_means():
    ramp = np.add.outer(np.arange(12.0), 2 * np.arange(16.0))
    half = resized(ramp, 6, 8)
    np.testing.assert_allclose(np.diff(half[1:-1, 1:-1], axis=0), 2)
    np.testing.assert_allclose(np.diff(half[1:-1, 1:-1], axis=1), 4)
    np.testing.assert_array_equal(resized(ramp, 12, 16), ramp)
    assert resized(np.full((5, 7), 0.3), 11, 4) == pytest.approx(np.full((11, 4), 0.3))

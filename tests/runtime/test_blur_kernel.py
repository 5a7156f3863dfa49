"""What is found of a blur: its parts by hand, and whole kernels of drawn scenes."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from lnca.degradation.shake import shaken_kernel
from lnca.runtime import blur_kernel
from lnca.runtime.blur_kernel import (
    centred,
    estimate_kernel,
    gradients,
    l0_sharp_image,
    least_squares,
    patches,
    tidied,
    unblurred,
)
from lnca.runtime.fourier import blurred
from scenes import likeness, scene


def test_gradients_lead_to_the_next_column_and_row():
    across, down = gradients(np.array([[1.0, 2, 4], [0, 0, 0]]))
    assert across.tolist() == [[1, 2, -3], [0, 0, 0]]
    assert down.tolist() == [[-1, -2, -4], [1, 2, 4]]


def test_few_gradients_keeps_steps_and_takes_ripples_away():
    step = np.zeros((32, 32), np.float32)
    step[:, 8:24] = 1
    ripples = 0.02 * np.random.default_rng(0).random((32, 32), np.float32)
    smooth = l0_sharp_image(step + ripples, unblurred(3, step), 4e-3)
    assert smooth.dtype == np.float32
    assert abs(smooth - step).max() < 0.03
    across, _ = gradients(smooth)
    assert (abs(across) > 0.05).sum() == 2 * 32


@pytest.mark.parametrize("size", [(36, 40), (150, 135)])
def test_few_gradients_solves_its_equations_one_after_the_other(size):
    """Equations 8 to 10 of Xu et al. 2013 written out, in one band and in several, of even and odd sides."""
    draw = np.random.default_rng(0)
    picture, kernel, price = draw.random(size), draw.random((3, 3)), 1e-3
    blur = np.zeros(size)
    blur[:3, :3] = kernel
    blur = np.fft.fft2(np.roll(blur, (-1, -1), (0, 1)))
    ahead = [np.fft.fft2(change) for change in gradients(np.pad([[1.0]], ((0, size[0] - 1), (0, size[1] - 1))))]
    sharp, weight = picture, 2 * price
    while weight < blur_kernel.LARGEST_WEIGHT:
        across, down = gradients(sharp)
        kept = across**2 + down**2 >= price / weight
        told = blur.conj() * np.fft.fft2(picture)
        for change, part in zip(ahead, (across, down), strict=True):
            told += weight * change.conj() * np.fft.fft2(part * kept)
        power = abs(blur) ** 2 + weight * sum(abs(change) ** 2 for change in ahead)
        sharp, weight = np.fft.ifft2(told / power).real, weight * 2
    np.testing.assert_allclose(l0_sharp_image(picture, kernel, price), sharp, atol=1e-9)


def test_least_squares_finds_the_kernel_that_was():
    draw = np.random.default_rng(0)
    sharp, kernel = draw.random((160, 160), np.float32), draw.random((5, 5), np.float32)
    kernel /= kernel.sum()
    given = blurred(sharp[None, None], kernel[None])[0, 0]
    found = least_squares(sharp, given, 5, 8)
    assert found.dtype == np.float32
    # Its energy has a price, and gradients beyond the frame are missing.
    np.testing.assert_allclose(found, kernel, atol=0.01, rtol=0)


@pytest.mark.parametrize("side", [1, 3, 4])
def test_least_squares_are_those_of_the_equations_written_out(side):
    draw = np.random.default_rng(0)
    sharp, given = draw.random((2, 20, 22))
    inner = (slice(4, -4),) * 2
    matrix, wanted = blur_kernel.ENERGY_WEIGHT * np.eye(side**2), np.zeros(side**2)
    for part, seen in zip(gradients(sharp), gradients(given), strict=True):
        inside, found = np.zeros((2, 20, 22))
        inside[inner], found[inner] = part[inner], seen[inner]
        moved = [
            np.roll(inside, (row - side // 2, column - side // 2), (0, 1)).ravel()
            for row in range(side)
            for column in range(side)
        ]
        matrix += np.inner(moved, moved)
        wanted += moved @ found.ravel()
    expected = np.linalg.solve(matrix, wanted).reshape(side, side)
    np.testing.assert_allclose(least_squares(sharp, given, side, 4), expected, atol=1e-9)


def test_tidying_takes_negative_faint_and_lonely_values_away():
    kernel = np.zeros((7, 7), np.float32)
    kernel[3, 2:5] = 0.4, 0.5, 0.3
    kernel[0, 0], kernel[6, 6], kernel[3, 5] = 0.05, -0.3, 0.01
    expected = np.zeros((7, 7))
    expected[3, 2:5] = np.array([0.4, 0.5, 0.3]) / 1.2
    np.testing.assert_allclose(tidied(kernel), expected, rtol=1e-6)
    assert np.array_equal(tidied(-abs(kernel)), unblurred(7, kernel))


def test_patches_touch_at_corners():
    mask = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]], bool)
    assert [int(part.sum()) for part in patches(mask)] == [2, 1, 1]
    assert np.array_equal(np.any(patches(mask), 0), mask)
    assert patches(mask & False) == []


def test_the_centre_of_gravity_moves_to_the_middle():
    kernel = np.zeros((5, 5))
    kernel[0, 3], kernel[0, 4] = 0.9, 0.1
    assert centred(kernel)[2, 2] == 0.9


def test_a_picture_shrinks_by_means_of_what_each_pixel_covers():
    """Triangles as wide as two of the new pixels: of a row half as long 1/8, 3/8, 3/8 and 1/8 of four pixels, and what
    is left of these at the border."""
    rows = np.broadcast_to(np.array([8.0, 4, 0, 0, 0, 16]), (6, 6))
    assert blur_kernel.shrunk(rows, 0.5)[1] == pytest.approx([(8 + 4) * 3 / 7, 4 / 8, 16 * 3 / 7])
    assert np.array_equal(blur_kernel.shrunk(rows, 1.0), rows)


def test_a_kernel_grows_by_cubics():
    """Keys' cubic of -0.75, 1/4, 3/4, 5/4 and 7/4 of a pixel from its middle."""
    near, beside, beyond = 0.87890625, 0.26171875, -0.10546875 - 0.03515625
    kernel = np.zeros((7, 7))
    kernel[3, 3] = 1
    grown = blur_kernel.resized(kernel, 14)
    # What is less than nothing is cut off; at the corners two such make more.
    total = (2 * near + 2 * beside) ** 2 + (2 * beyond) ** 2
    assert grown[6, 4:10] * total == pytest.approx([0, near * beside, near**2, near**2, near * beside, 0])
    assert grown.sum() == pytest.approx(1)
    assert np.array_equal(blur_kernel.resized(kernel, 7), kernel)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_kernel_of_a_shaken_hand_is_found(seed):
    truth = shaken_kernel(16, 25, np.random.default_rng(seed))
    given = fftconvolve(scene(280, seed), truth, "valid") + np.random.default_rng(0).normal(0, 0.005, (256, 256))
    kernel = estimate_kernel(given.astype(np.float32), 25)
    assert kernel.shape == (25, 25)
    assert kernel.dtype == np.float32
    assert kernel.min() >= 0
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert likeness(kernel, truth) > 0.85
    # No blur at all is far less like it.
    assert likeness(unblurred(25, kernel), truth) < 0.75

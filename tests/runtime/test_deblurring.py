"""Rounds of filter and cells: the filter by hand, what kernels do, and when they are not to be trusted."""

import math

import numpy as np
import pytest
from scipy.signal import correlate2d, fftconvolve

from lnca.degradation.shake import shaken_kernel
from lnca.runtime import threads
from lnca.runtime.blur_kernel import unblurred
from lnca.runtime.deblurring import (
    EARLIER_STEPS,
    EDGE_BLOCK,
    ESTIMATION_SIDE,
    FIRST_LEVEL,
    KERNEL_SIDES,
    LAST_STEPS,
    MIN_LEVEL,
    PRIOR_WEIGHT,
    ROUNDS,
    TRIAL_SIDE,
    Blur,
    blended_rounds,
    brightness,
    capped_by_spectrum,
    confidence,
    edges,
    estimated,
    estimation_corner,
    estimation_part,
    extent,
    filter_level,
    gradient_magnitude,
    misfit,
    rounds,
    schedule,
    spectral_level,
)
from scenes import scene


def picture_of(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey.astype(np.float32)[None, None], 3, 1)


def psnr(picture: np.ndarray, truth: np.ndarray, border: int = 16) -> float:
    inner = (..., slice(border, -border), slice(border, -border))
    return -10 * math.log10(np.square(picture - truth)[inner].mean())


def same(picture: np.ndarray, level: float, steps: int) -> np.ndarray:
    return picture


def test_levels_fall_by_equal_factors_to_the_pictures_own():
    levels = schedule(FIRST_LEVEL / 4, 3)
    assert levels == pytest.approx([FIRST_LEVEL, FIRST_LEVEL / 2, FIRST_LEVEL / 4])
    assert schedule(60, 2) == [60, 60]
    assert schedule(5, 0) == []


def test_a_round_is_the_picture_between_filter_and_cells():
    """Of a kernel of one pixel that halves: x = (y / 2 + w z) / (1 / 4 + w), with w = lambda (level / first level)^2
    and z = y the first time."""
    given = np.full((1, 3, 16, 16), 0.4, np.float32)
    kernel = np.full((1, 1, 1), 0.5, np.float32)
    weight = PRIOR_WEIGHT * (2 / FIRST_LEVEL) ** 2
    seen = []

    def cells(picture, level, steps):
        seen.append((level, steps))
        return picture

    *_, restored = rounds(given, kernel, 2, 1, cells)
    # What lies beyond the border is filled with what the sharp picture says, which is the same everywhere.
    assert restored.mean() == pytest.approx((0.2 + weight * 0.4) / (0.25 + weight), abs=1e-3)
    assert restored.dtype == np.float32
    assert seen == [(FIRST_LEVEL, LAST_STEPS)]
    seen.clear()
    *_, restored = rounds(given, kernel, 2, 3, cells)
    assert [steps for _, steps in seen] == [EARLIER_STEPS, EARLIER_STEPS, LAST_STEPS]


def test_what_is_told_is_undone():
    """Straight, slanted and uneven kernels, of odd and even sides, by the filter alone."""
    draw = np.random.default_rng(3)
    sharp = scene(200)
    for kernel in (np.eye(7) / 7, np.full((1, 6), 1 / 6), draw.dirichlet(np.ones(30)).reshape(5, 6)):
        blurred = fftconvolve(sharp, kernel, "valid")
        rows, columns = (side - 1 - side // 2 for side in kernel.shape)
        truth = picture_of(sharp[rows : rows + blurred.shape[0], columns : columns + blurred.shape[1]])
        given = picture_of(blurred)
        *_, restored = rounds(given, kernel[None], 1, 1, same)
        assert psnr(restored, truth) > psnr(given, truth) + 5


def test_rounds_keep_what_they_yielded_and_begin_with_the_picture():
    given = picture_of(scene(40))
    kernel = np.full((1, 1, 5), 0.2, np.float32)
    kept = [(frame, frame.copy()) for frame in rounds(given, kernel, 2, 3, lambda picture, level, steps: picture * 0.9)]
    assert kept[0][0] is given
    assert len(kept) == 4
    for frame, copy in kept:
        assert np.array_equal(frame, copy)


@pytest.mark.parametrize(
    ("sides", "place", "side"), [((7, 7), (3, 3), 1), ((7, 7), (2, 3), 3), ((4, 6), (0, 3), 5), ((4, 6), (3, 5), 5)]
)
def test_the_extent_of_a_kernel_is_that_of_what_is_not_zero(sides, place, side):
    kernel = np.zeros((2, *sides))
    kernel[0, sides[0] // 2, sides[1] // 2] = kernel[(1, *place)] = 1
    assert extent(kernel) == side


def test_zeros_around_a_kernel_change_nothing():
    picture, kernel = picture_of(scene(40)), np.full((1, 3, 5), 1 / 15, np.float32)
    *_, narrow = rounds(picture, kernel, 2, 2, same)
    *_, wide = rounds(picture, np.pad(kernel, ((0, 0), (4, 4), (3, 3))), 2, 2, same)
    assert np.array_equal(narrow, wide)


def test_pictures_of_a_batch_have_their_own_kernels():
    pictures = np.random.default_rng(0).random((2, 3, 40, 44), np.float32)
    kernels = np.stack([np.outer([0, 1, 0], [0.5, 0.5, 0]), np.full((3, 3), 1 / 9)]).astype(np.float32)
    *_, together = rounds(pictures, kernels, 3, 2, same)
    for number in range(2):
        *_, alone = rounds(pictures[number : number + 1], kernels[number : number + 1], 3, 2, same)
        assert np.array_equal(together[number], alone[0])


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    picture, kernel = picture_of(scene(200)), np.full((1, 3, 5), 1 / 15, np.float32)
    made = []
    for count in (1, 3):
        monkeypatch.setattr(threads, "_count", count)
        made.append(list(rounds(picture, kernel, 2, 2, same))[-1])
    assert np.array_equal(*made)


def test_what_is_not_trusted_is_mixed_with_the_picture():
    given, kernel = picture_of(scene(40)), np.full((3, 3), 1 / 9, np.float32)
    *_, whole = rounds(given, kernel[None], 2, 2, same)
    for share in (0.0, 0.25, 1.0):
        blur = Blur(kernel, share, 2)
        frames = list(blended_rounds(given, blur, 2, same))
        assert len(frames) == 3
        np.testing.assert_allclose(frames[2], given + share * (whole - given), atol=1e-6)
        np.testing.assert_allclose(blur.as_array()[1], [share / 9, 1 - share * 8 / 9, share / 9], rtol=1e-6)
        assert blur.as_array().dtype == np.float32
    assert frames[2].tobytes() == whole.tobytes()


@pytest.mark.parametrize("sigma", [1, 2.5, 5])
def test_noise_of_a_blurred_picture_is_seen_in_its_spectrum(sigma):
    blurred = fftconvolve(scene(260), shaken_kernel(12, 15, np.random.default_rng(0)), "valid")
    noisy = blurred + np.random.default_rng(1).normal(0, sigma / 255, blurred.shape)
    assert spectral_level(noisy) == pytest.approx(sigma, rel=0.15)
    assert spectral_level(noisy.astype(np.float32)) == pytest.approx(spectral_level(noisy), rel=1e-4)
    assert spectral_level(np.zeros((20, 400))) == math.inf


def test_levels_are_lowered_and_never_raised():
    level = np.broadcast_to(np.array([2, 6], np.float32), (1, 2, 1, 2))
    loud, quiet = np.random.default_rng(0).random((1, 3, 64, 64), np.float32), np.full((1, 3, 64, 64), 0.5, np.float32)
    assert np.array_equal(capped_by_spectrum(level, loud), level)
    assert capped_by_spectrum(level, quiet).max() < 1e-3
    assert capped_by_spectrum(level, quiet).dtype == np.float32


def test_one_level_counts_in_the_whole_picture():
    level = np.array([[[[2.0, 4.0]], [[50.0, 60.0]]]], np.float32)
    assert filter_level(level) == 3
    assert filter_level(level / 100) == MIN_LEVEL


def test_brightness_counts_green_most():
    colours = np.eye(3, dtype=np.float32)[..., None, None]
    assert brightness(colours).ravel() == pytest.approx([0.299, 0.587, 0.114])
    assert brightness(colours).dtype == np.float32


def test_an_estimate_is_trusted_as_far_as_it_explains_the_edges():
    kernel = np.full((13, 13), 1 / 169, np.float32)
    assert confidence(kernel, 0.5, 2, 20) == 1
    assert confidence(kernel, 5, 2, 20) == 0
    assert 0 < confidence(kernel, 1.4, 2, 20) < 1
    assert confidence(unblurred(13, kernel), 0.1, 2, 20) == 0
    # Where it changes little, there is little to win.
    assert confidence(kernel, 0.5, 2, 5) == 0
    assert 0 < confidence(kernel, 0.5, 2, 7) < 1


def test_a_picture_explains_itself_by_no_blur():
    picture = np.random.default_rng(0).random((100, 100), np.float32)
    assert misfit(picture, picture, unblurred(13, picture)) < 1e-3
    assert misfit(picture, picture, np.full((13, 13), 1 / 169, np.float32)) > 10


def test_a_slope_is_as_steep_as_it_rises():
    rows, columns = np.mgrid[:4, :6]
    assert gradient_magnitude(3.0 * rows + 4.0 * columns) == pytest.approx(np.full((3, 5), 5))


def test_each_gradient_within_a_square_counts_up_to_a_tenth():
    picture = np.zeros((EDGE_BLOCK + 5, 2 * EDGE_BLOCK), np.float32)
    picture[:, 3] = 0.05
    picture[:, EDGE_BLOCK + 1 :] = 1
    # Up and down again in the first, once in the second; the step between the squares is in neither.
    assert edges(picture) == pytest.approx(np.array([[EDGE_BLOCK * 0.1, EDGE_BLOCK * 0.1]]))


def test_kernels_are_looked_for_where_edges_are():
    picture = np.zeros((ESTIMATION_SIDE + 300, ESTIMATION_SIDE + 200), np.float32)
    picture[320:, 200:] = np.random.default_rng(0).random((ESTIMATION_SIDE - 20, ESTIMATION_SIDE), np.float32)
    top, left = estimation_corner(edges(picture), *picture.shape)
    assert abs(top - 300) <= 32
    assert abs(left - 200) <= 32
    assert np.array_equal(
        estimation_part(picture_of(picture))[0, 0], picture[top : top + ESTIMATION_SIDE, left : left + ESTIMATION_SIDE]
    )
    assert estimation_part(picture_of(picture), 64).shape == (1, 3, 64, 64)
    assert estimation_part(picture_of(picture), 64).std() > 0.2
    assert estimation_corner(edges(picture[:100, :90]), 100, 90) == (0, 0)
    # Narrower than a square.
    assert estimation_corner(edges(picture[:, :20]), ESTIMATION_SIDE + 300, 20) == (0, 0)
    # The first of equals.
    assert estimation_corner(edges(np.zeros_like(picture)), *picture.shape) == (0, 0)


def test_a_shake_that_nobody_tells_is_found():
    truth = shaken_kernel(14, 25, np.random.default_rng(1))
    found = estimated(picture_of(fftconvolve(scene(260, 5), truth, "valid")), MIN_LEVEL, same)
    assert found.kernel.shape == (KERNEL_SIDES[-1], KERNEL_SIDES[-1])
    assert found.kernel.dtype == np.float32
    assert found.kernel.sum() == pytest.approx(1, abs=1e-5)
    likeness = correlate2d(found.kernel, truth).max() / np.sqrt(np.square(found.kernel).sum() * np.square(truth).sum())
    assert likeness > 0.9
    assert found.confidence > 0.5


@pytest.mark.parametrize(("length", "looked_for"), [(31, [31]), (9, [31, 13])])
def test_a_short_kernel_is_looked_for_where_the_long_one_is_short(length, looked_for, monkeypatch):
    sides, seen = [], []

    def line(picture, side):
        sides.append(side)
        assert picture.shape == (400, 300)
        reach = min(length, side) // 2
        kernel = np.zeros((side, side), np.float32)
        kernel[side // 2, side // 2 - reach : side // 2 + reach + 1] = 1 / (2 * reach + 1)
        return kernel

    def cells(picture, level, steps):
        seen.append(picture.shape[-2:])
        return picture

    monkeypatch.setattr("lnca.runtime.deblurring.estimate_kernel", line)
    picture = np.random.default_rng(0).random((400, 300))
    found = estimated(picture_of(picture), 2, cells)
    assert sides == looked_for
    assert found.kernel.shape == (KERNEL_SIDES[-1], KERNEL_SIDES[-1])
    # It is tried on a part of the picture, with the border that a blur needs.
    assert len(seen) == ROUNDS * len(sides)
    assert max(map(max, seen)) <= TRIAL_SIDE + 3 * KERNEL_SIDES[-1]


def test_a_sharp_picture_is_taken_for_sharp():
    assert estimated(picture_of(scene(200, 7)), MIN_LEVEL, same).confidence == 0


def test_without_edges_nothing_tells_a_blur():
    ramp = picture_of(np.broadcast_to(np.linspace(0.1, 0.9, 160), (160, 160)))
    found = estimated(ramp, MIN_LEVEL, same)
    assert found.confidence == 0
    assert all(frame is ramp for frame in blended_rounds(ramp, found, 3, same))


def test_a_picture_too_small_for_a_kernel_is_taken_for_sharp():
    assert estimated(np.random.default_rng(0).random((1, 3, 30, 200), np.float32), 5, same).confidence == 0

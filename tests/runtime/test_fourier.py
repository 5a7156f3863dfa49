"""Filters in the Fourier domain against sums written out, borders that meet, and threads that change nothing."""

import numpy as np
import pytest

from lnca.runtime import fourier, threads
from lnca.runtime.fourier import blurred, fast_margin, in_bands, inverse_transform, periodic, spectrum, transform


@pytest.mark.parametrize("sides", [(3, 3), (5, 3), (4, 3), (1, 1)])
def test_a_blur_is_the_sum_over_the_kernel_around_its_middle(sides):
    draw = np.random.default_rng(0)
    picture, kernel = draw.random((1, 1, 8, 10)), draw.random((1, *sides))
    expected = sum(
        kernel[0, row, column] * np.roll(picture, (row - sides[0] // 2, column - sides[1] // 2), (-2, -1))
        for row in range(sides[0])
        for column in range(sides[1])
    )
    np.testing.assert_allclose(blurred(picture, kernel), expected, rtol=1e-12)


@pytest.mark.parametrize("size", [(8, 10), (9, 7), (150, 141)])
def test_spectra_of_pictures_are_unitary_and_those_of_kernels_are_not(size):
    picture = np.random.default_rng(0).random((2, 3, *size))
    spectra = transform(picture)
    np.testing.assert_allclose(spectra, np.fft.rfft2(picture) / np.sqrt(size[0] * size[1]), atol=1e-12)
    np.testing.assert_allclose(inverse_transform(spectra, size[1]), picture, atol=1e-12)
    np.testing.assert_allclose(spectrum(np.ones((1, 1, 1)), *size), np.ones((1, 1, size[0], size[1] // 2 + 1)))


def test_what_is_float32_stays_so():
    picture, kernel = np.ones((1, 2, 20, 30), np.float32), np.full((1, 3, 3), 1 / 9, np.float32)
    assert transform(picture).dtype == spectrum(kernel, 20, 30).dtype == np.complex64
    assert blurred(picture, kernel).dtype == periodic(picture, 3, 4).dtype == np.float32


def test_borders_meet_and_the_picture_stays_inside():
    """The mirrored pixels of a row 0, 1, 2, 3 are 2 1 | 0 1 2 3 | 2 1; each is mixed with its opposite, half and half
    at the outermost, three quarters to one quarter beside it."""
    rows = np.broadcast_to(np.arange(4, dtype=np.float32), (1, 1, 4, 4))
    extended = periodic(rows, 2, 2)
    assert extended[0, 0, 3].tolist() == [1.5, 1.25, 0, 1, 2, 3, 1.75, 1.5]
    assert np.array_equal(extended[..., 2:-2, 2:-2], rows)
    picture = np.random.default_rng(1).random((1, 2, 20, 30), np.float32)
    extended = periodic(picture, 6, 9)
    assert np.array_equal(extended[..., 0, :], extended[..., -1, :])
    assert np.array_equal(extended[..., 0], extended[..., -1])


def test_margins_make_transforms_quick():
    # 11 + 2 * 2 = 15, and 13 + 2 * 3 = 19, + 2 * 4 = 21.
    assert fast_margin(11, 2) == 2
    assert fast_margin(13, 3) == 4
    # Not farther than a picture can be mirrored.
    assert fast_margin(8, 31) == 7


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    draw = np.random.default_rng(0)
    picture, kernel = draw.random((1, 3, 200, 210), np.float32), draw.random((1, 9, 9), np.float32)
    made = []
    for count in (1, 2, 5):
        monkeypatch.setattr(threads, "_count", count)
        made.append(blurred(picture, kernel))
    assert np.array_equal(made[0], made[1])
    assert np.array_equal(made[0], made[2])


@pytest.mark.parametrize("count", [1, 3])
def test_each_band_is_done_once(monkeypatch, count):
    monkeypatch.setattr(threads, "_count", count)
    done = np.zeros(fourier.BAND * 5 + 7)

    def work(band):
        done[band] += 1

    in_bands(len(done), fourier.MIN_PARALLEL_PIXELS, work)
    assert (done == 1).all()
    in_bands(0, fourier.MIN_PARALLEL_PIXELS, work)


@pytest.mark.parametrize("count", [1, 3])
def test_what_goes_wrong_in_a_band_is_told(monkeypatch, count):
    monkeypatch.setattr(threads, "_count", count)

    def work(band):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_bands(fourier.BAND * 9, fourier.MIN_PARALLEL_PIXELS, work)

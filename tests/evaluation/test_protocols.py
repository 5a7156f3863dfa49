"""The noise is that of papers, every method gets the same noise, and scores are those of 8 bits."""

import numpy as np
import pytest

from lnca.evaluation.photographs import HIGHEST_PSNR
from lnca.evaluation.protocols import noisy, score

MIDDLE = np.full((128, 128, 3), 128, np.uint8)


@pytest.mark.parametrize("sigma", [15, 50])
def test_the_noise_has_the_deviation_it_is_said_to_have(sigma):
    noise = 255 * (noisy(MIDDLE, sigma, False, "a") - MIDDLE / 255)
    # For 49,152 numbers the error of the standard deviation is a third of a percent, that of the mean sigma / 222.
    assert noise.std() == pytest.approx(sigma, rel=0.015)
    assert abs(noise.mean()) < sigma / 50
    # The noise is independent between pixels and between channels.
    assert abs(np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]) < 0.03
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.03


def test_papers_noise_goes_beyond_white_and_black_and_a_users_file_does_not():
    edges = np.array([0, 255], np.uint8).repeat(64 * 64).reshape(2, 64, 64)
    for plane in edges:
        beyond = noisy(plane, 25, False, "a")
        assert ((beyond < 0) | (beyond > 1)).mean() == pytest.approx(0.5, abs=0.03)
        clipped = noisy(plane, 25, True, "a")
        # The same noise, clipped and rounded.
        assert np.array_equal(255 * clipped, (255 * beyond).clip(0, 255).round())


def test_the_noise_is_drawn_for_a_picture_and_a_sigma():
    first = noisy(MIDDLE, 25, False, "Kodak24", "one")
    assert np.array_equal(first, noisy(MIDDLE, 25, False, "Kodak24", "one"))
    assert not np.array_equal(first, noisy(MIDDLE, 25, False, "Kodak24", "two"))
    small, large = (noisy(MIDDLE, sigma, False, "Kodak24", "one") - MIDDLE / 255 for sigma in (15, 50))
    assert abs(np.corrcoef(small.ravel(), large.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("shape", [(16, 16, 3), (16, 16)])
def test_psnr_by_hand(shape):
    truth = np.full(shape, 100, np.uint8)
    # An error of 10 of 255 everywhere: 20 log10(25.5) dB.
    psnr, ssim = score((truth + 10.0) / 255, truth)
    assert psnr == pytest.approx(20 * np.log10(25.5), abs=1e-3)
    assert ssim < 1
    # An error of less than half a step of 8 bits disappears; values beyond white become white.
    assert score((truth + 0.4) / 255, truth) == (HIGHEST_PSNR, 1)
    assert score(np.full(shape, 1.7), np.full(shape, 255, np.uint8)) == (HIGHEST_PSNR, 1)

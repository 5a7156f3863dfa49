"""SSIM and PSNR."""

import math

import pytest
import torch

from lnca import LncaError, metrics


def test_ssim_of_equal_pictures_is_one_and_one_number_a_picture_comes_back():
    image = torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(metrics.ssim(image, image), torch.ones(3))


def test_ssim_of_constant_pictures_by_hand():
    a, b = torch.full((1, 3, 16, 16), 0.2, dtype=torch.float64), torch.full((1, 3, 16, 16), 0.6, dtype=torch.float64)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert metrics.ssim(a, b).item() == pytest.approx(expected, rel=1e-6)


def test_ssim_counts_only_positions_where_the_window_lies_inside():
    a = torch.rand(1, 3, 11, 11, dtype=torch.float64)
    b = torch.rand(1, 3, 11, 11, dtype=torch.float64)
    x = torch.arange(11, dtype=torch.float64) - 5
    weights = torch.exp(-(x**2) / (2 * 1.5**2))
    window = torch.outer(weights, weights) / weights.sum() ** 2

    def mean(value):
        return (value * window).sum((2, 3))

    ma, mb = mean(a), mean(b)
    covariance = mean(a * b) - ma * mb
    variances = mean(a * a) - ma**2 + mean(b * b) - mb**2
    expected = (2 * ma * mb + 1e-4) * (2 * covariance + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (variances + 9e-4))
    assert metrics.ssim(a, b).item() == pytest.approx(expected.mean().item(), rel=1e-6)


def test_ssim_needs_a_window():
    with pytest.raises(LncaError, match="at least 11x11"):
        metrics.ssim(torch.rand(1, 3, 10, 20), torch.rand(1, 3, 10, 20))


def test_psnr_by_hand():
    black = torch.zeros(2, 3, 8, 8)
    grey = torch.stack([torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.5)])
    assert metrics.psnr(grey, black).tolist() == pytest.approx([20, -20 * math.log10(0.5)], rel=1e-5)
    assert metrics.psnr(black, black).tolist() == [math.inf, math.inf]


def test_recovered_by_hand():
    assert metrics.recovered(0.8, 0.6) == pytest.approx(0.5)
    assert metrics.recovered(0.6, 0.6) == 0
    assert metrics.recovered(0.5, 0.6) < 0

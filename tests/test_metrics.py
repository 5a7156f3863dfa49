"""SSIM and PSNR."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lnca import LncaError, metrics

LAKE = Path(metrics.__file__).parent / "assets" / "lake.jpg"


def batch_of(image_HWC):
    return torch.from_numpy(image_HWC).permute(2, 0, 1)[None].double()


def test_ssim_of_equal_pictures_is_one_and_one_number_a_picture_comes_back():
    image = torch.rand(3, 3, 16, 16)
    torch.testing.assert_close(metrics.ssim(image, image), torch.ones(3))


def test_ssim_of_constant_pictures_by_hand():
    a, b = torch.full((1, 3, 16, 16), 0.2, dtype=torch.float64), torch.full((1, 3, 16, 16), 0.6, dtype=torch.float64)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert metrics.ssim(a, b).item() == pytest.approx(expected, rel=1e-6)
    assert metrics.ssim_of(np.full((16, 20, 3), 0.2), np.full((16, 20, 3), 0.6)) == pytest.approx(expected, rel=1e-12)


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
    arrays = (x[0].permute(1, 2, 0).numpy() for x in (a, b))
    assert metrics.ssim_of(*arrays) == pytest.approx(expected.mean().item(), rel=1e-12)


def test_ssim_needs_a_window():
    with pytest.raises(LncaError, match="at least 11x11"):
        metrics.ssim(torch.rand(1, 3, 10, 20), torch.rand(1, 3, 10, 20))
    with pytest.raises(LncaError, match="at least 11x11"):
        metrics.ssim_of(np.zeros((20, 10, 3)), np.zeros((20, 10, 3)))


def test_psnr_by_hand():
    black = torch.zeros(2, 3, 8, 8)
    grey = torch.stack([torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.5)])
    assert metrics.psnr(grey, black).tolist() == pytest.approx([20, -20 * math.log10(0.5)], rel=1e-5)
    assert metrics.psnr(black, black).tolist() == [math.inf, math.inf]


def test_psnr_of_arrays_by_hand():
    black = np.zeros((8, 9, 3), np.float32)
    assert metrics.psnr_of(np.full_like(black, 0.1), black) == pytest.approx(20, abs=1e-5)
    assert metrics.psnr_of(np.full((8, 9, 3), 0.5), black) == pytest.approx(-20 * math.log10(0.5), abs=1e-12)
    assert metrics.psnr_of(black, black) == math.inf


@pytest.mark.parametrize("size", [(11, 11), (12, 40), (27, 30), (139, 21)])
def test_arrays_are_scored_as_tensors_are(size):
    draw = np.random.default_rng(0)
    image = draw.random((*size, 3), np.float32)
    for amount in (0.02, 0.2, 1):
        other = (image + amount * draw.normal(size=image.shape)).clip(0, 1).astype(np.float32)
        a, b = batch_of(image), batch_of(other)
        assert metrics.ssim_of(image, other) == pytest.approx(metrics.ssim(a, b).item(), abs=1e-5)
        assert metrics.psnr_of(image, other) == pytest.approx(metrics.psnr(a, b).item(), abs=1e-5)
    assert metrics.ssim_of(image, image) == pytest.approx(1, abs=1e-12)


def test_photographs_are_scored_as_tensors_are():
    clean = Image.open(LAKE)
    smaller = clean.resize((125, 125), Image.Resampling.LANCZOS).resize(clean.size, Image.Resampling.BICUBIC)
    image, other = (np.asarray(x, np.float32) / 255 for x in (clean, smaller))
    a, b = batch_of(image), batch_of(other)
    assert metrics.ssim_of(image, other) == pytest.approx(metrics.ssim(a, b).item(), abs=1e-5)
    assert metrics.psnr_of(image, other) == pytest.approx(metrics.psnr(a, b).item(), abs=1e-5)


def test_arrays_are_scored_without_torch():
    program = "import sys, numpy as np; from lnca.metrics import psnr_of, ssim_of; x = np.zeros((11, 11, 3))"
    program += "; print(ssim_of(x, x), psnr_of(x, x), 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "1.0 inf False\n"


def test_recovered_by_hand():
    assert metrics.recovered(0.8, 0.6) == pytest.approx(0.5)
    assert metrics.recovered(0.6, 0.6) == 0
    assert metrics.recovered(0.5, 0.6) < 0

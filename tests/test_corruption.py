"""The paper's noise and blur for one picture in numpy, and the noise of the demonstration."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from lnca import LncaError, corruption
from lnca.corruption import Curriculum, masked_noise, motion_blur, motion_kernels
from lnca.degradation import demosaicing, paper, sensor
from lnca.demo_noise import GAINS, SENSOR, demosaiced, night_noise
from lnca.metrics import psnr_of

GREY = np.full((64, 96, 3), 0.5, np.float32)


def seeded(seed=0):
    return np.random.default_rng(seed)


def noise_picture(height=32, width=40):
    return seeded(9).random((height, width, 3), np.float32)


def lake():
    with Image.open(corruption.__file__.replace("corruption.py", "assets/lake.jpg")) as image:
        return np.asarray(image, np.float32) / 255


@pytest.mark.parametrize("intensity", [0, 0.25, 0.5, 0.75, 1])
def test_noise_hits_that_share_of_the_pixels_with_one_value_for_all_channels(intensity):
    grey = np.full((128, 128, 3), 0.5, np.float32)
    noisy = masked_noise(grey, intensity, seeded())
    assert (noisy.dtype, noisy.shape) == (np.float32, grey.shape)
    noise = noisy - 0.5
    assert np.ptp(noise, axis=2).max() == 0
    hit = noise[..., 0] != 0
    assert hit.mean() == pytest.approx(intensity, abs=0.015)
    if intensity:
        assert noise[hit].std() == pytest.approx(0.2, abs=0.01)
        assert noise[hit].mean() == pytest.approx(0, abs=0.01)


def test_noise_stays_in_range():
    noisy = masked_noise(noise_picture(), 1.0, seeded())
    assert 0 == noisy.min() < noisy.max() == 1


@pytest.mark.parametrize(
    "way",
    [
        lambda x, draw: masked_noise(x, 0.5, draw),
        lambda x, draw: motion_blur(x, 7, draw),
        lambda x, draw: night_noise(x, 0.008, draw),
    ],
)
def test_corruption_follows_its_generator_and_leaves_the_picture_alone(way):
    image = noise_picture()
    before = image.copy()
    first, again, other = (way(image, seeded(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (first.dtype, first.shape) == (image.dtype, image.shape)
    assert np.array_equal(image, before)


def test_a_direction_lies_anywhere_in_the_half_turn(monkeypatch):
    angles = []
    monkeypatch.setattr(
        corruption, "motion_kernels", lambda *given: (angles.append(given[1]), motion_kernels(*given))[1]
    )
    draw, small = seeded(), np.zeros((4, 4, 3), np.float32)
    for _ in range(800):
        motion_blur(small, 3, draw)
    counts, _ = np.histogram(angles, 4, (0, math.pi))
    assert counts.sum() == 800
    assert counts.min() > 150


def test_kernels_by_hand():
    horizontal, vertical = motion_kernels(3, np.array([0.0, math.pi / 2]))
    expected = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]]) / 3
    np.testing.assert_allclose(horizontal, expected, atol=1e-15)
    np.testing.assert_allclose(vertical, expected.T, atol=1e-15)


def test_a_short_diagonal_kernel_by_hand():
    kernel = motion_kernels(3, np.array([math.pi / 4]))[0]
    far, near = 0.5**0.5, 1 - 0.5**0.5
    corner, side, middle = far * far, far * near, 1 + 2 * near * near
    expected = np.array([[corner, side, 0], [side, middle, side], [0, side, corner]]) / 3
    np.testing.assert_allclose(kernel, expected, atol=1e-15)


@pytest.mark.parametrize("length", [1, 2, 4, 7, 10, 25])
def test_kernels_are_those_of_tensors(length):
    angles = np.linspace(0, math.pi, 17)
    expected = paper.motion_kernels(length, torch.from_numpy(angles)).numpy()
    np.testing.assert_allclose(motion_kernels(length, angles), expected, atol=1e-14)


@pytest.mark.parametrize("border", ["zero", "reflect"])
@pytest.mark.parametrize("length", [1, 2, 7, 32])
def test_blur_is_that_of_tensors(length, border, monkeypatch):
    image, angle = noise_picture(), math.pi * seeded(3).random()
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.full((count,), angle / math.pi))
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = paper.motion_blur(batch, length, torch.Generator(), border)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(motion_blur(image, length, seeded(3), border), expected, atol=1e-5)


def test_the_border_is_dark_or_mirrored():
    white = np.ones((32, 32, 3), np.float32)
    dark = motion_blur(white, 7, seeded(), "zero")
    assert dark[0].min() < 0.9 or dark[:, 0].min() < 0.9
    np.testing.assert_allclose(dark[8:-8, 8:-8], white[8:-8, 8:-8], atol=1e-6)
    np.testing.assert_allclose(motion_blur(white, 7, seeded(), "reflect"), white, atol=1e-6)


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (lambda: masked_noise(GREY, 1.5, seeded()), "between 0 and 1, got 1.5"),
        (lambda: masked_noise(GREY, float("nan"), seeded()), "between 0 and 1, got nan"),
        (lambda: motion_blur(GREY, 0, seeded()), r"between 1 and the picture's shorter side \(96x64\), got 0"),
        (lambda: motion_blur(GREY, 65, seeded()), r"between 1 and the picture's shorter side \(96x64\), got 65"),
    ],
)
def test_difficulties_that_cannot_be(attempt, sentence):
    with pytest.raises(LncaError, match=sentence):
        attempt()


def test_the_curriculum_rises_with_the_epochs():
    curriculum = Curriculum(start=4, end=10, slope=15, test=7)
    assert [curriculum.difficulty(epoch, 10) for epoch in range(10)] == [4, 4, 4, 4.5, 6, 7.5, 9, 10, 10, 10]


@pytest.mark.parametrize("size", [(8, 8), (9, 12), (13, 11)])
def test_one_colour_a_pixel_becomes_three_as_with_tensors(size):
    image = seeded().random((*size, 3))
    padded = np.pad(image, ((0, size[0] % 2), (0, size[1] % 2), (0, 0)), mode="reflect")
    tensor = torch.from_numpy(padded).permute(2, 0, 1)[None]
    expected = demosaicing.demosaiced(demosaicing.mosaic(tensor), "bilinear")[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(demosaiced(image), expected[: size[0], : size[1]], atol=1e-12)


def test_the_night_is_as_noisy_as_that_camera_is_with_tensors(monkeypatch):
    to_sensor = torch.from_numpy(SENSOR / GAINS[:, None]).float()[None]
    monkeypatch.setattr(sensor, "_colours", lambda batch, draw: (to_sensor, torch.linalg.inv(to_sensor)))
    monkeypatch.setattr(sensor, "chance", lambda *given: torch.tensor([True]))
    monkeypatch.setattr(sensor, "choice", lambda *given: torch.tensor([0]))
    monkeypatch.setattr(sensor, "read_variance", lambda shot, draw: (2.18 * shot.log() + 1.2).exp())
    clean = lake()
    batch = torch.from_numpy(clean).permute(2, 0, 1)[None]
    draw = torch.Generator().manual_seed(0)
    expected = sensor.camera_noise(batch, draw, (0.008, 0.008))[0].permute(1, 2, 0).numpy() - clean
    noise = night_noise(clean, 0.008, seeded()) - clean
    np.testing.assert_allclose(noise.std((0, 1)), expected.std((0, 1)), rtol=0.01)
    assert psnr_of(clean + noise, clean) == pytest.approx(psnr_of(clean + expected, clean), abs=0.05)
    # Neighbours of one colour are correlated, and so are the colours.
    for one, other in ((np.s_[1:, :, 0], np.s_[:-1, :, 0]), (np.s_[..., 0], np.s_[..., 1])):
        found, wanted = (np.corrcoef(x[one].ravel(), x[other].ravel())[0, 1] for x in (noise, expected))
        assert found == pytest.approx(wanted, abs=0.02)


def test_white_stays_white_in_the_sensor_and_the_tone_curve_is_undone():
    np.testing.assert_allclose(SENSOR.sum(1), 1, atol=1e-12)
    clean = lake()
    assert abs(night_noise(clean, 1e-12, seeded()) - clean).max() < 1e-3


def test_noise_of_the_night_grows_with_the_light_and_black_and_white_stay_in_range():
    dark, light = ((night_noise(np.full_like(GREY, value), 0.001, seeded()) - value).std() for value in (0.02, 0.4))
    assert dark < light / 2
    for value in (0, 1):
        noisy = night_noise(np.full_like(GREY, value), 0.02, seeded())
        assert 0 <= noisy.min() < noisy.max() <= 1


def test_one_picture_needs_no_torch():
    program = "import sys, numpy as np; from lnca.corruption import masked_noise"
    program += "; from lnca.demo_noise import night_noise"
    program += "; x, draw = np.zeros((9, 9, 3), 'f'), np.random.default_rng(0)"
    program += "; night_noise(masked_noise(x, 0.5, draw), 0.01, draw); print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"

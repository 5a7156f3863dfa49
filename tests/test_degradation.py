"""What photographs suffer from: repeatable, in range, and as strong as it says."""

import math

import pytest
import torch

from lnca.degradation import camera_noise, degraded, gaussian_noise, jpeg, photo_noise


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def smooth(batch=8, side=48):
    small = torch.rand(batch, 3, 4, 4, generator=draw(9)) * 0.6 + 0.2
    return torch.nn.functional.interpolate(small, side, mode="bilinear")


@pytest.mark.parametrize("way", [camera_noise, photo_noise, lambda x, g: degraded(x, "photo-denoise", g)])
def test_the_same_seed_gives_the_same_pictures_in_range(way):
    image = smooth()
    first, again, other = way(image, draw()), way(image, draw()), way(image, draw(1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == image.shape
    assert ((first >= 0) & (first <= 1)).all()


def test_gaussian_noise_has_its_sigma_in_every_channel_and_eight_bits():
    image = torch.full((1, 3, 200, 200), 0.5)
    noisy = gaussian_noise(image, 25 / 255, draw())
    assert (noisy - image).std((2, 3)).flatten().tolist() == pytest.approx([25 / 255] * 3, rel=0.03)
    assert torch.equal((noisy * 255).round() / 255, noisy)
    correlation = torch.corrcoef((noisy - image)[0].flatten(1))
    assert correlation[0, 1].abs() < 0.02


def test_a_camera_is_noisier_at_higher_gains_and_keeps_the_colours():
    image = smooth(64)
    noisy = camera_noise(image, draw())
    deviations = (noisy - image).std((1, 2, 3))
    assert deviations.min() < 0.02 < 0.05 < deviations.max()
    quiet = deviations.argsort()[:16]
    assert (noisy - image)[quiet].mean((2, 3)).abs().max() < 0.02


def test_a_camera_s_noise_is_correlated_as_demosaicing_makes_it():
    image = torch.full((32, 3, 64, 64), 0.4)
    noise = (camera_noise(image, draw()) - image)[..., 2:-2, 2:-2]
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert 0.15 < neighbours < 0.8


def test_jpeg_is_left_out_at_100_and_coarser_below():
    image = smooth(2) + 0.05 * torch.rand(2, 3, 48, 48, generator=draw())
    errors = [(jpeg(image, torch.full((2,), float(q))) - image).square().mean().item() for q in (100, 90, 30)]
    assert math.sqrt(errors[0]) < 0.5 / 255
    assert errors[0] < errors[1] < errors[2]


def test_some_of_the_mixture_is_nearly_clean_and_some_is_not():
    deviations = (photo_noise(smooth(128), draw()) - smooth(128)).std((1, 2, 3))
    assert deviations.min() < 0.01
    assert deviations.max() > 0.12

"""What photographs suffer from: repeatable, in range, and as strong as it says."""

import math

import pytest
import torch

from lnca.corruption import motion_kernels
from lnca.degradation import (
    KERNEL,
    LENGTHS,
    MARGINS,
    camera_noise,
    degraded,
    discs,
    gaussian_noise,
    jpeg,
    motion_path,
    photo_blur,
    photo_noise,
)


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def smooth(batch=8, side=48):
    small = torch.rand(batch, 3, 4, 4, generator=draw(9)) * 0.6 + 0.2
    return torch.nn.functional.interpolate(small, side, mode="bilinear")


@pytest.mark.parametrize(
    "way", [camera_noise, photo_noise, photo_blur, *(lambda x, g, task=task: degraded(x, task, g) for task in MARGINS)]
)
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


def spread(kernels):
    """Standard deviation of the rows and columns that kernels reach."""
    grid = torch.arange(kernels.shape[-1]) - kernels.shape[-1] // 2
    rows, columns = (kernels * grid[:, None] ** 2).sum((1, 2)), (kernels * grid**2).sum((1, 2))
    return torch.stack([rows, columns]).sqrt()


def test_a_straight_path_is_the_paper_s_line():
    angles = torch.tensor([0.0, 0.6, math.pi / 2])
    path, line = motion_path(torch.full((3,), 9.0), angles, torch.zeros(3), 9), motion_kernels(9, angles)
    torch.testing.assert_close(path.sum((1, 2)), torch.ones(3))
    torch.testing.assert_close(spread(path), spread(line), rtol=0.05, atol=0.15)


def test_a_path_bends_and_is_not_longer_for_it():
    longest = torch.full((2,), float(LENGTHS[1]))
    straight, bent = motion_path(longest, torch.zeros(2), torch.tensor([0.0, 0.9]))
    assert (straight > 1e-6).any(1).sum() == 1
    assert (bent > 1e-6).any(1).sum() > 3
    assert spread(bent[None])[1] < spread(straight[None])[1]
    assert not bent[0].any()
    assert not bent[:, 0].any()


def test_discs_grow_and_that_of_no_radius_blurs_nothing():
    kernels = discs(torch.tensor([0.0, 1, 2]))
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(3))
    assert kernels[0, KERNEL // 2, KERNEL // 2] == 1
    assert (spread(kernels)[0].diff() > 0).all()
    torch.testing.assert_close(kernels, kernels.mT)


def test_blurred_pictures_keep_their_mean_and_lose_detail_but_some():
    image = torch.rand(64, 3, 64, 64, generator=draw()) * 0.5 + 0.25
    blurred = photo_blur(image, draw(1))
    torch.testing.assert_close(blurred.mean((1, 2, 3)), image.mean((1, 2, 3)), rtol=0, atol=0.02)
    share = blurred.std((1, 2, 3)) / image.std((1, 2, 3))
    assert share.min() < 0.4
    assert 0.02 < (share > 0.9).float().mean() < 0.3

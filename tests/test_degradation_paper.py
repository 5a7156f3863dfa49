"""The paper's noise and blur for batches of tensors."""

import math

import pytest
import torch

from lnca import LncaError
from lnca.degradation import paper
from lnca.degradation.paper import corrupt, masked_noise, motion_blur, motion_kernels

GREY = torch.full((4, 3, 64, 64), 0.5)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("intensity", [0.25, 0.5, 0.75])
def test_noise_hits_that_share_of_the_pixels_with_one_value_for_all_channels(intensity):
    noise = masked_noise(GREY, intensity, seeded()) - GREY
    torch.testing.assert_close(noise[:, :1].expand_as(noise), noise, atol=1e-6, rtol=0)
    hit = noise[:, 0] != 0
    assert hit.float().mean().item() == pytest.approx(intensity, abs=0.01)
    assert noise[:, 0][hit].std().item() == pytest.approx(0.2, abs=0.01)
    assert noise[:, 0][hit].mean().item() == pytest.approx(0, abs=0.01)


def test_noise_stays_in_range_and_differs_between_pictures():
    noisy = masked_noise(torch.rand(2, 3, 64, 64, generator=seeded()), 1.0, seeded())
    assert 0 == noisy.min() < noisy.max() == 1
    noise = masked_noise(GREY, 0.5, seeded())
    assert not torch.equal(noise[0], noise[1])


@pytest.mark.parametrize("task", ["denoise", "deblur"])
def test_corruption_follows_its_generator(task):
    image = torch.rand(2, 3, 32, 32, generator=seeded())
    difficulty = 0.5 if task == "denoise" else 7
    first, again, other = (corrupt(image, task, difficulty, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == image.shape


def test_each_task_has_its_own_corruption():
    image = torch.rand(2, 3, 32, 32, generator=seeded())
    assert torch.equal(corrupt(image, "denoise", 0.3, seeded()), masked_noise(image, 0.3, seeded()))
    assert torch.equal(corrupt(image, "deblur", 7.9, seeded()), motion_blur(image, 7, seeded(), "zero"))


def test_every_picture_has_a_direction_of_its_own_anywhere_in_the_half_turn(monkeypatch):
    angles = []
    monkeypatch.setattr(paper, "motion_kernels", lambda *given: (angles.append(given[1]), motion_kernels(*given))[1])
    motion_blur(torch.rand(2000, 1, 4, 4), 3, seeded())
    counts = torch.histc(angles[0], 4, 0, math.pi)
    assert counts.sum() == 2000
    assert counts.min() > 400


def test_kernels_by_hand():
    horizontal, vertical = motion_kernels(3, torch.tensor([0.0, math.pi / 2], dtype=torch.float64))
    expected = torch.tensor([[0, 0, 0], [1, 1, 1], [0, 0, 0]], dtype=torch.float64) / 3
    torch.testing.assert_close(horizontal, expected)
    torch.testing.assert_close(vertical, expected.T)


@pytest.mark.parametrize("length", [1, 2, 4, 7, 10, 25])
def test_kernels_sum_to_one_at_any_angle_and_are_symmetric(length):
    kernels = motion_kernels(length, torch.linspace(0, math.pi, 17, dtype=torch.float64))
    torch.testing.assert_close(kernels.sum((1, 2)), torch.ones(17, dtype=torch.float64))
    torch.testing.assert_close(kernels, kernels.flip(1, 2))
    assert kernels.min() >= 0


def test_a_diagonal_kernel_lies_on_its_diagonal():
    kernel = motion_kernels(7, torch.tensor([math.pi / 4], dtype=torch.float64))[0]
    rows, columns = torch.nonzero(kernel > 0.02, as_tuple=True)
    assert ((rows - columns).abs() <= 1).all()
    assert kernel.diagonal().sum() > 0.5


def test_a_short_diagonal_kernel_by_hand():
    kernel = motion_kernels(3, torch.tensor([math.pi / 4], dtype=torch.float64))[0]
    far, near = 0.5**0.5, 1 - 0.5**0.5
    corner, side, middle = far * far, far * near, 1 + 2 * near * near
    expected = torch.tensor([[corner, side, 0], [side, middle, side], [0, side, corner]], dtype=torch.float64) / 3
    torch.testing.assert_close(kernel, expected)


def test_blur_is_the_mean_along_its_line(monkeypatch):
    image = torch.rand(1, 3, 16, 16, generator=seeded())
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.zeros(count))
    blurred = motion_blur(image, 3, seeded())
    expected = (image[..., :-2] + image[..., 1:-1] + image[..., 2:]) / 3
    torch.testing.assert_close(blurred[..., 1:-1], expected)


def test_the_border_is_dark_or_mirrored():
    white = torch.ones(2, 3, 32, 32)
    dark = motion_blur(white, 7, seeded(), "zero")
    assert dark[:, :, 0].min() < 0.9 or dark[..., 0].min() < 0.9
    torch.testing.assert_close(dark[..., 8:-8, 8:-8], white[..., 8:-8, 8:-8])
    torch.testing.assert_close(motion_blur(white, 7, seeded(), "reflect"), white)


def test_a_blur_of_length_one_changes_nothing():
    image = torch.rand(2, 3, 16, 16, generator=seeded())
    torch.testing.assert_close(motion_blur(image, 1, seeded()), image)


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (lambda: masked_noise(GREY, 1.5, seeded()), "between 0 and 1, got 1.5"),
        (lambda: masked_noise(GREY, float("nan"), seeded()), "between 0 and 1, got nan"),
        (lambda: motion_blur(GREY, 0, seeded()), "between 1 and the picture's shorter side"),
        (lambda: motion_blur(GREY, 65, seeded()), "between 1 and the picture's shorter side"),
    ],
)
def test_difficulties_that_cannot_be(attempt, sentence):
    with pytest.raises(LncaError, match=sentence):
        attempt()

"""What is found of a blur: its parts by hand, and whole kernels of drawn scenes."""

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d, fftconvolve

from lnca.degradation.shake import shaken_kernel
from lnca.nn.blur_kernel import (
    centred,
    estimate_kernel,
    few_gradients,
    gradients,
    least_squares,
    patches,
    tidied,
    unblurred,
)
from lnca.nn.fourier import blurred
from scenes import scene


def likeness(kernel: np.ndarray, truth: np.ndarray) -> float:
    return correlate2d(kernel, truth).max() / np.sqrt(np.square(kernel).sum() * np.square(truth).sum())


def test_gradients_lead_to_the_next_column_and_row():
    across, down = gradients(torch.tensor([[1.0, 2, 4], [0, 0, 0]]))
    assert across.tolist() == [[1, 2, -3], [0, 0, 0]]
    assert down.tolist() == [[-1, -2, -4], [1, 2, 4]]


def test_few_gradients_keeps_steps_and_takes_ripples_away():
    step = torch.zeros(32, 32)
    step[:, 8:24] = 1
    ripples = 0.02 * torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    smooth = few_gradients(step + ripples, unblurred(3, step), 4e-3)
    assert (smooth - step).abs().max() < 0.03
    across, _ = gradients(smooth)
    assert (across.abs() > 0.05).sum() == 2 * 32


def test_least_squares_finds_the_kernel_that_was():
    draw = torch.Generator().manual_seed(0)
    sharp, kernel = torch.rand(160, 160, generator=draw), torch.rand(5, 5, generator=draw)
    kernel = kernel / kernel.sum()
    given = blurred(sharp[None, None], kernel[None])[0, 0]
    found = least_squares(sharp, given, 5, 8)
    # Its energy has a price, and gradients beyond the frame are missing.
    torch.testing.assert_close(found, kernel, atol=0.01, rtol=0)


def test_tidying_takes_negative_faint_and_lonely_values_away():
    kernel = torch.zeros(7, 7)
    kernel[3, 2:5] = torch.tensor([0.4, 0.5, 0.3])
    kernel[0, 0], kernel[6, 6], kernel[3, 5] = 0.05, -0.3, 0.01
    expected = torch.zeros(7, 7)
    expected[3, 2:5] = torch.tensor([0.4, 0.5, 0.3]) / 1.2
    torch.testing.assert_close(tidied(kernel), expected)
    assert torch.equal(tidied(-kernel.abs()), unblurred(7, kernel))


def test_patches_touch_at_corners():
    mask = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]], dtype=torch.bool)
    assert sorted(int(part.sum()) for part in patches(mask)) == [1, 1, 2]


def test_the_centre_of_gravity_moves_to_the_middle():
    kernel = torch.zeros(5, 5)
    kernel[0, 3], kernel[0, 4] = 0.9, 0.1
    assert centred(kernel)[2, 2] == 0.9


@pytest.mark.parametrize("seed", [1, 2])
def test_the_kernel_of_a_shaken_hand_is_found(seed):
    truth = shaken_kernel(16, 25, np.random.default_rng(seed))
    given = fftconvolve(scene(280, seed), truth, "valid") + np.random.default_rng(0).normal(0, 0.005, (256, 256))
    kernel = estimate_kernel(torch.from_numpy(given.astype(np.float32)), 25)
    assert kernel.shape == (25, 25)
    assert kernel.min() >= 0
    assert kernel.sum().item() == pytest.approx(1, abs=1e-5)
    assert likeness(kernel.numpy(), truth) > 0.85
    # No blur at all is far less like it.
    assert likeness(unblurred(25, kernel).numpy(), truth) < 0.75

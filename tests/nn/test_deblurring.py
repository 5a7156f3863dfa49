"""The deblurrer as a module: given and estimated kernels, and pictures that it does not change."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

import lnca
from lnca.architectures import DeblurSettings
from lnca.degradation.shake import shaken_kernel
from lnca.nn.deblurring import Deblurrer
from lnca.runtime.deblurring import ROUNDS
from scenes import scene


def picture_of(grey: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(grey.astype(np.float32)).expand(1, 3, -1, -1).contiguous()


def psnr(picture: torch.Tensor, truth: torch.Tensor, border: int = 16) -> float:
    inner = (..., slice(border, -border), slice(border, -border))
    return -10 * math.log10((picture - truth)[inner].square().mean().item())


@pytest.fixture(scope="module")
def shipped() -> Deblurrer:
    return lnca.load("photo-deblur", "cpu", backend="plain").module  # type: ignore[return-value]


def test_a_deblurrer_has_as_many_rounds_wherever_it_comes_from(shipped):
    assert shipped.steps == Deblurrer().steps == DeblurSettings().steps == ROUNDS
    # The steps of its cells are another number.
    assert lnca.load("photo-deblur", "cpu").streamer.cells.steps == DeblurSettings().rules


def test_what_is_told_is_undone(shipped):
    """Straight, slanted and uneven kernels, with odd and even sides."""
    draw = np.random.default_rng(3)
    sharp = scene(136)
    for kernel in (np.eye(7) / 7, np.full((1, 6), 1 / 6), draw.dirichlet(np.ones(30)).reshape(5, 6)):
        blurred = fftconvolve(sharp, kernel, "valid")
        rows, columns = (side - 1 - side // 2 for side in kernel.shape)
        truth = picture_of(sharp[rows : rows + blurred.shape[0], columns : columns + blurred.shape[1]])
        given = picture_of(blurred)
        with torch.no_grad():
            restored = shipped(given, kernel=torch.from_numpy(kernel.astype(np.float32)))
        assert psnr(restored, truth) > psnr(given, truth) + 8


def test_a_shake_that_nobody_tells_is_found_and_undone(shipped):
    truth = shaken_kernel(14, 25, np.random.default_rng(1))
    sharp = scene(236, 5)
    given = picture_of(fftconvolve(sharp, truth, "valid"))
    with torch.no_grad():
        restored = shipped(given)
    clean = picture_of(sharp[12:-12, 12:-12])
    gains = [psnr(restored.roll((r, c), (-2, -1)), clean) - psnr(given, clean) for r in (-1, 0, 1) for c in (-1, 0, 1)]
    assert max(gains) > 3


def test_a_sharp_picture_is_left_as_it_is_to_the_bit(shipped):
    given = picture_of(scene(160, 7))
    with torch.no_grad():
        assert torch.equal(shipped(given), given)


def test_no_rounds_change_nothing_and_frames_end_with_the_result(shipped):
    given = picture_of(fftconvolve(scene(120), np.full((1, 5), 0.2), "valid"))
    kernel = torch.full((1, 5), 0.2)
    with torch.no_grad():
        frames = list(shipped.frames(given, 3, kernel=kernel))
        assert len(frames) == 4
        assert torch.equal(frames[0], given)
        assert torch.equal(shipped(given, 0, kernel=kernel), given)
        assert torch.equal(frames[3], shipped(given, 3, kernel=kernel))


def test_pictures_of_a_batch_have_their_own_kernels_and_levels():
    torch.manual_seed(0)
    model = Deblurrer((8, 8, 8), 2).eval()
    pictures = torch.rand(2, 3, 64, 72)
    unblurred = torch.zeros(3, 3)
    unblurred[1, 1] = 1
    kernels = (unblurred, torch.full((3, 3), 1 / 9))
    with torch.no_grad():
        together = model(pictures, kernel=torch.stack(kernels))
        for number, kernel in enumerate(kernels):
            assert torch.equal(together[number], model(pictures[number : number + 1], kernel=kernel)[0])


def test_without_edges_nothing_tells_a_blur(shipped):
    ramp = torch.linspace(0.1, 0.9, 160).expand(1, 3, 160, 160).contiguous()
    with torch.no_grad():
        assert torch.equal(shipped(ramp), ramp)

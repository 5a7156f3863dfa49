"""Rounds of filter and cells: the filter by hand, what kernels do, and when they are not to be trusted."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import fftconvolve

import lnca
from lnca.degradation.shake import shaken_kernel
from lnca.nn.blur_kernel import unblurred
from lnca.nn.deblurring import (
    FIRST_LEVEL,
    LOOK,
    TRUST,
    Deblurrer,
    edges,
    estimated,
    misfit,
    quieted,
    rounds,
    schedule,
    spectral_level,
    trust,
    where_to_look,
)
from scenes import scene


def picture_of(grey: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(grey.astype(np.float32)).expand(1, 3, -1, -1).contiguous()


def psnr(picture: torch.Tensor, truth: torch.Tensor, border: int = 16) -> float:
    inner = (..., slice(border, -border), slice(border, -border))
    return -10 * math.log10((picture - truth)[inner].square().mean().item())


@pytest.fixture(scope="module")
def shipped() -> Deblurrer:
    return lnca.load("photo-deblur", "cpu", backend="plain").module  # type: ignore[return-value]


def test_levels_fall_by_equal_factors_to_the_pictures_own():
    levels = schedule(FIRST_LEVEL / 4, 3)
    assert levels == pytest.approx([FIRST_LEVEL, FIRST_LEVEL / 2, FIRST_LEVEL / 4])
    assert schedule(60, 2) == [60, 60]
    assert schedule(5, 0) == []


def test_a_round_is_the_picture_between_filter_and_cells():
    """Of a kernel of one pixel that halves: x = (y / 2 + w z) / (1 / 4 + w), with w = lambda (level / first level)^2
    and z = y the first time."""
    given = torch.full((1, 3, 16, 16), 0.4)
    kernel = torch.full((1, 1, 1), 0.5)
    weight = TRUST * (2 / FIRST_LEVEL) ** 2
    seen = []

    def cells(picture, level):
        seen.append(level)
        return picture

    *_, restored = rounds(given, kernel, 2, 1, cells)
    # What lies beyond the border is filled with what the sharp picture says, which is the same everywhere.
    assert restored.mean().item() == pytest.approx((0.2 + weight * 0.4) / (0.25 + weight), abs=1e-3)
    assert seen == [FIRST_LEVEL]


def test_what_is_told_is_undone(shipped):
    """Straight, slanted and uneven kernels, of odd and even sides."""
    draw = np.random.default_rng(3)
    sharp = scene(200)
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
    sharp = scene(300, 5)
    given = picture_of(fftconvolve(sharp, truth, "valid"))
    with torch.no_grad():
        restored = shipped(given)
    clean = picture_of(sharp[12:-12, 12:-12])
    gains = [psnr(restored.roll((r, c), (-2, -1)), clean) - psnr(given, clean) for r in (-1, 0, 1) for c in (-1, 0, 1)]
    assert max(gains) > 3


def test_a_sharp_picture_is_left_as_it_is_to_the_bit(shipped):
    given = picture_of(scene(256, 7))
    with torch.no_grad():
        assert torch.equal(shipped(given), given)
        assert shipped.estimate(given, 1.5).trust == 0


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
    with torch.no_grad():
        together = model(pictures, kernel=torch.stack([unblurred(3, pictures), torch.full((3, 3), 1 / 9)]))
        for number, kernel in enumerate((unblurred(3, pictures), torch.full((3, 3), 1 / 9))):
            assert torch.equal(together[number], model(pictures[number : number + 1], kernel=kernel)[0])


@pytest.mark.parametrize("sigma", [1, 2.5, 5])
def test_noise_of_a_blurred_picture_is_seen_in_its_spectrum(sigma):
    blurred = fftconvolve(scene(260), shaken_kernel(12, 15, np.random.default_rng(0)), "valid")
    noisy = blurred + np.random.default_rng(1).normal(0, sigma / 255, blurred.shape)
    assert spectral_level(torch.from_numpy(noisy)) == pytest.approx(sigma, rel=0.15)
    assert spectral_level(torch.zeros(20, 400)) == math.inf


def test_levels_are_lowered_and_never_raised():
    level = torch.tensor([2.0, 6.0]).expand(1, 2, 1, 2)
    loud, quiet = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)), torch.full((1, 3, 64, 64), 0.5)
    assert torch.equal(quieted(level, loud), level)
    assert quieted(level, quiet).max() < 1e-3


def test_an_estimate_is_trusted_as_far_as_it_explains_the_edges():
    kernel = torch.full((13, 13), 1 / 169)
    assert trust(kernel, 0.5, 2, 20) == 1
    assert trust(kernel, 5, 2, 20) == 0
    assert 0 < trust(kernel, 1.4, 2, 20) < 1
    assert trust(unblurred(13, kernel), 0.1, 2, 20) == 0
    # Where it changes little, there is little to win.
    assert trust(kernel, 0.5, 2, 5) == 0
    assert 0 < trust(kernel, 0.5, 2, 7) < 1


def test_a_picture_explains_itself_by_no_blur():
    picture = torch.rand(100, 100, generator=torch.Generator().manual_seed(0))
    assert misfit(picture, picture, unblurred(13, picture)) < 1e-3
    assert misfit(picture, picture, torch.full((13, 13), 1 / 169)) > 10


def test_kernels_are_looked_for_where_edges_are():
    picture = torch.zeros(LOOK + 300, LOOK + 200)
    picture[320:, 200:] = torch.rand(LOOK - 20, LOOK, generator=torch.Generator().manual_seed(0))
    top, left = where_to_look(edges(picture), *picture.shape)
    assert abs(top - 300) <= 32
    assert abs(left - 200) <= 32
    assert where_to_look(edges(picture[:100, :90]), 100, 90) == (0, 0)
    # Narrower than a square.
    assert where_to_look(edges(picture[:, :20]), LOOK + 300, 20) == (0, 0)


def test_without_edges_nothing_tells_a_blur(shipped):
    ramp = torch.linspace(0.1, 0.9, 160).expand(1, 3, 160, 160).contiguous()
    with torch.no_grad():
        assert torch.equal(shipped(ramp), ramp)


def test_a_picture_too_small_for_a_kernel_is_taken_for_sharp():
    found = estimated(torch.rand(1, 3, 30, 200), 5, lambda picture, level: picture)
    assert found.trust == 0

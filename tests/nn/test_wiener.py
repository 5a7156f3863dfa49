"""Wiener filters of cells: against the discrete Fourier transform of the whole window, and on blurred pictures."""

import math

import pytest
import torch

from lnca.corruption import motion_kernels
from lnca.kernels.blur import fused_blur
from lnca.nn.deconvolution import blur
from lnca.nn.wiener import WienerFilters


@pytest.mark.parametrize(("window", "lengths"), [(9, (3, 5)), (31, (3, 8, 15))])
def test_filters_are_those_of_the_discrete_fourier_transform(window, lengths):
    torch.manual_seed(0)
    filters = WienerFilters(5, lengths, window).double()
    scores = 2 * torch.randn(2, filters.inputs, 3, 2, dtype=torch.float64)
    side = filters.side
    kernels = torch.zeros(2, 3, 2, window, window, dtype=torch.float64)
    kernels[..., :side, :side] = filters.kernels(scores).unflatten(-1, (side, side))
    spectra = torch.fft.fft2(kernels.roll((-(side // 2), -(side // 2)), (-2, -1)))
    for level, found in zip(filters.noises, filters.filters(scores), strict=True):
        noise = (level + scores[:, len(filters.bank), ..., None, None]).exp()
        expected = torch.fft.ifft2(spectra.conj() * (1 + noise) / (spectra.abs().square() + noise)).real
        expected = expected.roll((window // 2, window // 2), (-2, -1)).flatten(-2)
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(found.sum(-1), torch.ones(2, 3, 2, dtype=torch.float64), rtol=1e-6, atol=1e-6)


def test_what_was_not_blurred_is_left_as_it_is():
    filters = WienerFilters(4, (3, 7), 21)
    scores = torch.zeros(1, filters.inputs, 5, 4)
    scores[:, len(filters.bank) - 1] = 40
    image = torch.rand(1, 3, 20, 16)
    torch.testing.assert_close(filters(image, scores), torch.cat([image] * 3, 1), rtol=0, atol=1e-5)


def test_less_noise_gives_back_more_of_what_was_blurred():
    """Inside, away from what the border hides, a known blur goes more and more."""
    filters = WienerFilters(8, (3, 7), 47)
    filters.blur = fused_blur
    smooth = torch.rand(4, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    image = torch.nn.functional.interpolate(smooth, 80, mode="bicubic").clamp(0, 1)
    chosen = torch.tensor([8, 11, 13, 15])
    kernels = motion_kernels(7, math.pi * (chosen - 8) / 8).flatten(1)[:, None, None].expand(-1, 20, 20, -1)
    blurry = blur(image.permute(0, 2, 3, 1), kernels, "nearest").permute(0, 3, 1, 2)
    scores = torch.zeros(4, filters.inputs, 20, 20)
    scores[torch.arange(4), chosen] = 40
    inner = (..., slice(24, 56), slice(24, 56))

    def error(moved):
        scores[:, len(filters.bank)] = moved
        with torch.no_grad():
            return (filters(blurry, scores)[:, 3:6][inner] - image[inner]).abs().mean().item()

    errors = [(blurry[inner] - image[inner]).abs().mean().item(), *(error(moved) for moved in (3, 1, 0))]
    assert sorted(errors, reverse=True) == errors
    assert errors[-1] < 0.6 * errors[0]


def test_a_window_has_a_middle():
    with pytest.raises(ValueError, match="odd"):
        WienerFilters(4, (3, 7), 20)

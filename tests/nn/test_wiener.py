"""Wiener filters of cells: against the discrete Fourier transform of the whole window, and on blurred pictures."""

import math

import pytest
import torch

from lnca.corruption import motion_kernels
from lnca.kernels.blur import fused_blur
from lnca.nn.deconvolution import blur, line_bank
from lnca.nn.wiener import WienerFilters, shares_of_frequencies, spectrum
from lnca.training import losses


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
        moved = 4 * (scores[:, len(filters.bank), ..., None, None] / 4).tanh()
        noise = (level + moved).exp()
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
    chosen = torch.tensor([4, 7, 9, 11])
    kernels = motion_kernels(7, math.pi * (chosen - 4) / 8).flatten(1)[:, None, None].expand(-1, 20, 20, -1)
    blurry = blur(image.permute(0, 2, 3, 1), kernels, "nearest").permute(0, 3, 1, 2)
    scores = torch.zeros(4, filters.inputs, 20, 20)
    scores[torch.arange(4), chosen] = 40
    inner = (..., slice(24, 56), slice(24, 56))

    def error(moved):
        scores[:, len(filters.bank)] = moved
        with torch.no_grad():
            return (filters(blurry, scores)[:, 3:6][inner] - image[inner]).abs().mean().item()

    errors = [(blurry[inner] - image[inner]).abs().mean().item(), *(error(moved) for moved in (6, 3, 1.4))]
    assert sorted(errors, reverse=True) == errors
    assert errors[-1] < 0.6 * errors[0]


def test_responses_are_the_spectra_of_filters():
    torch.manual_seed(0)
    filters = WienerFilters(5, (3, 6), 11).double()
    scores = torch.randn(1, filters.inputs, 1, 3, dtype=torch.float64)
    shares, moved = filters.shares(scores), scores[:, len(filters.bank), ..., None]
    for responses, found in zip(
        filters.responses(shares, moved, filters.times()), filters.filters(scores), strict=True
    ):
        expected = spectrum(found.view(3, 11, 11), 11)
        torch.testing.assert_close(responses.flatten(0, 2), expected.real, rtol=1e-9, atol=1e-9)
        assert expected.imag.abs().max() < 1e-9


def test_the_expected_error_is_that_of_a_picture_with_a_natural_spectrum():
    """Filtered without a border, of noise the mean of many draws."""
    window, draw = 11, torch.Generator().manual_seed(0)
    waves = (2 * math.pi * torch.arange(window, dtype=torch.float64) / window).div(2).sin()
    differs = 4 * (waves[:, None] ** 2 + waves**2)
    phases = torch.fft.fft2(torch.randn(window, window, generator=draw, dtype=torch.float64))
    spectra = torch.where(differs > 0, phases / phases.abs() / differs.clamp(min=1e-9).sqrt(), 0) * 0.3 * window
    picture = torch.fft.ifft2(spectra).real
    # All frequencies have the same share of it, but the one that is zero.
    gradients = sum((picture - picture.roll(1, axis)).square().mean() for axis in (0, 1)) * 121 / 120
    kernel, response = (torch.rand(1, side, side, generator=draw, dtype=torch.float64) for side in (5, 11))
    kernel = kernel / kernel.sum()
    response = response + response.flip(1, 2)
    turned = torch.fft.fft2(response.roll((-5, -5), (1, 2))).real[0]
    blurred = torch.fft.fft2(torch.nn.functional.pad(kernel, (0, 6, 0, 6)).roll((-2, -2), (1, 2)))[0]
    noise = 0.1 * torch.randn(20000, window, window, generator=draw, dtype=torch.float64)
    restored = torch.fft.ifft2((spectra * blurred + torch.fft.fft2(noise)) * turned).real
    stands, differences = (each.double() for each in shares_of_frequencies(window))
    assert stands.sum().item() == pytest.approx(1, abs=1e-6)
    found = losses.filtered(
        spectrum(response, window).real, spectrum(kernel, window), stands, differences, gradients, torch.tensor(0.01)
    )
    assert found.item() == pytest.approx((restored - picture).square().mean().item(), rel=0.01)
    still = losses.filtered(
        spectrum(response, window).real, spectrum(kernel, window), stands, differences, gradients, torch.tensor(0.0)
    )
    restored = torch.fft.ifft2(spectra * blurred * turned).real
    assert still.item() == pytest.approx((restored - picture).square().mean().item(), rel=1e-5)


def test_short_lines_have_fewer_angles():
    bank = line_bank(28, (3, 13, 25))
    assert len(bank) == 4 + 14 + 28 + 1
    assert bank.shape[1] == 25 * 25
    torch.testing.assert_close(bank.sum(1), torch.ones(47))


def test_a_window_has_a_middle():
    with pytest.raises(ValueError, match="odd"):
        WienerFilters(4, (3, 7), 20)

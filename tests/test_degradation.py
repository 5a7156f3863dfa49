"""Degradations of photographs: repeatable, in range, and with the strength that they report."""

import math

import numpy as np
import pytest
import torch

from lnca.degradation import (
    KERNEL,
    LENGTHS,
    camera,
    camera_noise,
    discs,
    drawing,
    gaussian_noise,
    jpeg,
    mixture,
    motion_path,
    noise_level,
    photo_blur,
    plain,
    plain_noise,
    recoloured,
    sensor,
    shake,
)
from lnca.degradation.colour import GREY_LEVEL, YCC, hue_and_saturation, times, toned
from lnca.degradation.demosaicing import WAYS, demosaiced, mosaic
from lnca.degradation.filters import blurred
from lnca.degradation.noises import correlated_noise, grain, smooth_noise
from lnca.degradation.paper import motion_kernels
from lnca.degradation.processing import bilateral, curve, resized, sharpened, smoothed_noise


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def smooth(batch=8, side=48):
    small = torch.rand(batch, 3, 4, 4, generator=draw(9)) * 0.6 + 0.2
    return torch.nn.functional.interpolate(small, side, mode="bilinear")


def each(*values):
    return torch.tensor(values).view(-1, 1, 1, 1)


@pytest.mark.parametrize("way", [camera_noise, photo_blur, recoloured])
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


def test_the_noise_of_light_grows_with_it_and_that_of_electronics_does_not():
    values = sensor.variance(torch.tensor([-0.2, 0, 0.5, 1]), torch.tensor(0.01), torch.tensor(0.001))
    torch.testing.assert_close(values, torch.tensor([0.001, 0.001, 0.006, 0.011]))


def test_linear_light_and_back():
    values = torch.linspace(0, 1, 4096).expand(2, 3, 1, -1)
    curved = torch.tensor([False, True])
    linear = sensor.linear_light(values, curved)
    assert linear[0, 0, 0, 2048].item() == pytest.approx((2048 / 4095) ** 2.2)
    # 3 v v - 2 v v v is 0.15625 at 0.25.
    assert sensor.untone(torch.tensor(0.15625)).item() == pytest.approx(0.25)
    torch.testing.assert_close(sensor.displayed(linear, curved), values, rtol=0, atol=1e-4)
    torch.testing.assert_close(sensor.SENSORS.sum(2), torch.ones(4, 3))


def test_a_sensor_measures_one_colour_a_pixel():
    image = torch.tensor([1.0, 2, 3]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    assert mosaic(image)[0, 0].tolist() == [[1, 2, 1, 2], [2, 3, 2, 3]] * 2


@pytest.mark.parametrize("way", WAYS)
def test_demosaicing_keeps_flat_colours_and_what_was_measured(way):
    flat = torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, 8, 10)
    torch.testing.assert_close(demosaiced(mosaic(flat), way), flat)
    noise = torch.randn(2, 3, 12, 8, generator=draw())
    torch.testing.assert_close(mosaic(demosaiced(mosaic(noise), way)), mosaic(noise))


def test_one_bright_red_pixel_by_malvar_he_and_cutler():
    """A value of 8 at a red pixel, since the coefficients of their Figure 2 are eighths."""
    raw = torch.zeros(1, 1, 12, 12)
    raw[..., 4, 4] = 8
    red, green, blue = demosaiced(raw, "gradient-corrected")[0]
    assert (red[4, 4], green[4, 4], blue[4, 4]) == (8, 4, 6)
    assert green[4, 6] == green[2, 4] == -1
    assert red[4, 5] == red[5, 4] == 4
    assert red[5, 5] == 2
    assert blue[4, 5] == blue[3, 4] == 5 - 5
    assert green[4, 5] == 0


def test_one_bright_red_pixel_bilinearly():
    raw = torch.zeros(1, 1, 12, 12)
    raw[..., 4, 4] = 8
    red, green, blue = demosaiced(raw, "bilinear")[0]
    assert red[3:6, 3:6].tolist() == [[2, 4, 2], [4, 8, 4], [2, 4, 2]]
    assert not green.any()
    assert not blue.any()


def test_edges_are_followed_and_not_crossed():
    step = torch.zeros(1, 3, 16, 16)
    step[..., 7:] = 1
    for image in (step, step.mT.contiguous()):
        torch.testing.assert_close(demosaiced(mosaic(image), "edge-directed"), image)
        assert (demosaiced(mosaic(image), "bilinear") - image).abs().max() > 0.4


def test_noise_passes_alone_as_it_does_with_its_picture():
    image, noise = mosaic(smooth(2)), 0.1 * torch.randn(2, 1, 48, 48, generator=draw())
    parts = [demosaiced(x, "edge-directed", image + noise) for x in (image, noise)]
    torch.testing.assert_close(sum(parts), demosaiced(image + noise, "edge-directed"))


def test_four_times_the_light_s_noise_is_twice_the_deviation():
    image = torch.full((64, 3, 32, 32), 0.6)
    low, high = ((camera_noise(image, draw(), (shot, shot)) - image).std() for shot in (1e-4, 4e-4))
    assert (high / low).item() == pytest.approx(2, rel=0.1)


def test_smooth_noise_has_variance_one_and_the_autocorrelation_of_its_width():
    noise = smooth_noise(300, 300, torch.tensor([[0.0, 1.0, 2.5]]), draw())[0]
    for field, deviation in zip(noise, (0, 1, 2.5), strict=True):
        assert field.var().item() == pytest.approx(1, rel=0.1)
        for lag in (1, 2):
            expected = math.exp(-((lag / (2 * deviation)) ** 2)) if deviation else 0
            for shifted in (field[lag:] * field[:-lag], field[:, lag:] * field[:, :-lag]):
                assert shifted.mean().item() == pytest.approx(expected, abs=0.06)


def test_correlated_noise_and_grain_are_as_bright_as_the_picture():
    for way in (correlated_noise, grain):
        image = smooth(32)
        noise = way(image, draw()) - image
        assert noise.mean().abs() < 0.005
        deviations = noise.std((1, 2, 3)) * 255
        assert deviations.min() < 6
        assert deviations.max() > 15


def test_grain_has_the_variance_of_what_is_covered_by_chance():
    """u (1 - u): 0.25 at mid-grey, 0.09 at a tenth, none at black and white."""
    cover = torch.tensor([0.5, 0.1, 0.0, 1.0]).view(4, 1, 1, 1)
    noises = [grain(value.expand(16, 3, 64, 64), draw()) - value for value in cover]
    mid, dark, black, white = (noise.var().item() for noise in noises)
    assert dark / mid == pytest.approx(0.09 / 0.25, rel=0.02)
    assert black == white == 0


def test_blur_leaves_what_the_kernel_s_square_sums_to():
    """The variance of white noise becomes 1 / (4 pi s s), in two dimensions, for a Gaussian of s pixels."""
    noise = torch.randn(1, 3, 400, 400, generator=draw())
    assert blurred(noise, torch.full((1, 3), 2.0)).var().item() == pytest.approx(1 / (16 * math.pi), rel=0.05)
    settings = torch.tensor([[[0.0, 1, 1]], [[1, 1, 0]], [[1, 1, 0.5]]])
    ycc = times(YCC, smoothed_noise(noise, *settings))
    before = times(YCC, noise)
    torch.testing.assert_close(ycc[:, 0], before[:, 0], rtol=0, atol=1e-5)
    assert (ycc[:, 1].var() / before[:, 1].var()).item() == pytest.approx(1 / (4 * math.pi), rel=0.05)
    torch.testing.assert_close(ycc[:, 2], 0.5 * before[:, 2], rtol=0, atol=1e-5)


def test_a_bilateral_filter_is_a_mean_of_nine_or_nothing():
    noise = torch.randn(2, 3, 9, 9, generator=draw())
    wide, narrow = bilateral(noise, noise, each(1e4, 1e-6))
    torch.testing.assert_close(wide[:, 4, 4], noise[0, :, 3:6, 3:6].mean((1, 2)))
    torch.testing.assert_close(narrow, noise[1])


def test_a_tone_curve_by_hand():
    values = torch.tensor([0, 0.25, 1, 1.2, -0.1]).view(1, 1, 1, 5)
    assert curve(values, each(1.0), each(1.0)).flatten().tolist() == pytest.approx([0, 0.15625, 1, 1.2, -0.1])
    assert curve(values, each(0.5), each(0.0)).flatten().tolist() == pytest.approx([0, 0.5, 1, 1.2, -0.1])


def test_sharpening_adds_what_a_blur_takes_away():
    image = torch.zeros(1, 3, 21, 21)
    image[..., 10, 10] = 1
    sharp = sharpened(image, each(0.7), each(1.0))
    peak = 1 / (2 * math.pi)
    assert sharp[0, :, 10, 10].tolist() == pytest.approx([1 + 0.7 * (1 - peak)] * 3, rel=0.02)
    assert sharp.sum().item() == pytest.approx(3, abs=1e-4)


def test_another_size_by_hand():
    line = torch.arange(8.0).view(1, 1, 1, 8).expand(1, 1, 8, 8).contiguous()
    for cubic in (False, True):
        larger = resized(line, torch.tensor([2.0]), torch.zeros(1, 2), cubic)[0, 0]
        torch.testing.assert_close(larger[4, 2:8], torch.arange(2, 8) / 2)
    assert torch.allclose(resized(line, torch.ones(1), torch.rand(1, 2), True), line, atol=1e-5)
    smaller = resized(line, torch.tensor([0.5]), torch.full((1, 2), 0.5), False)[0, 0, 4]
    torch.testing.assert_close(smaller[3:5], torch.tensor([2.5, 4.5]))
    assert smaller[0] > smaller[1]


def test_colour_of_every_second_pixel_is_lost_in_420_alone():
    image = torch.zeros(2, 3, 32, 32)
    image[:, 0, :, ::2] = image[:, 2, :, 1::2] = 1
    errors = (jpeg(image, torch.full((2,), 95.0), torch.tensor([True, False])) - image).abs().mean((1, 2, 3))
    assert errors[0] < 0.03
    assert errors[1] > 0.2


def test_jpeg_s_blocks_begin_where_they_are_told_to():
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    for place in (0, 3):
        coarse = jpeg(ramp, torch.full((1,), 1.0), torch.tensor([True]), torch.tensor([[0, place]]))
        steps = coarse[0, 0, 0].diff().nonzero().flatten() + 1
        assert {(step + place) % 8 for step in steps.tolist()} == {0}


def test_a_level_of_25_is_sigma_25_in_brightness_and_in_colour():
    noise = torch.randn(1, 3, 256, 260, generator=draw()) * 25 / 255
    level = noise_level(noise)
    assert level.shape == (1, 2, 32, 33)
    assert level.mean((0, 2, 3)).tolist() == pytest.approx([25, 25], rel=0.02)
    assert level.std() < 1.5
    brightness, colour = noise_level(noise[:, :1].expand(-1, 3, -1, -1)).mean((0, 2, 3)).tolist()
    assert (brightness, colour) == (pytest.approx(GREY_LEVEL * 25, rel=0.03), pytest.approx(0, abs=0.01))
    assert pytest.approx(1 / math.sqrt(0.299**2 + 0.587**2 + 0.114**2)) == GREY_LEVEL


def test_a_level_is_local():
    noise = torch.full((1, 3, 128, 128), 10 / 255)
    noise[..., 64:] = 0
    row = noise_level(noise)[0, 0, 8]
    assert row[:6].tolist() == pytest.approx([10 * GREY_LEVEL] * 6, rel=1e-4)
    assert row[10:].tolist() == pytest.approx([0] * 6, abs=1e-4)
    # Eleven sixteenths of the window's squares, with weights 1 4 6 4 1, are noisy.
    assert row[7].item() == pytest.approx(10 * GREY_LEVEL * math.sqrt(11 / 16), rel=1e-4)


def test_a_camera_draws_all_from_its_generator_and_says_how_noisy_each_picture_is():
    image = smooth(64, 64)
    before = image.clone()
    state = torch.get_rng_state()
    first, again, other = camera(image, draw()), camera(image, draw()), camera(image, draw(1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(image, before)
    for name in ("clean", "noisy", "level_BCHW"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))
    assert first.clean.shape == first.noisy.shape == image.shape
    assert first.level_BCHW.shape == (64, 2, 8, 8)
    assert ((first.clean >= 0) & (first.clean <= 1)).all()


def test_sides_may_be_odd():
    pictures = camera(torch.rand(24, 3, 47, 33, generator=draw()), draw())
    assert pictures.clean.shape == pictures.noisy.shape == (24, 3, 47, 33)
    assert pictures.level_BCHW.shape == (24, 2, 6, 5)
    assert pictures.noisy.isfinite().all()


def test_some_of_the_mixture_is_clean_some_is_grey_and_some_goes_beyond_the_range():
    pictures = camera(smooth(400, 32), draw())
    error = (pictures.noisy - pictures.clean).abs().amax((1, 2, 3))
    deviation = (pictures.noisy - pictures.clean).std((1, 2, 3)) * 255
    assert 0.02 < (error <= 0.502 / 255).float().mean() < 0.2
    assert (deviation > 40).float().mean() > 0.05
    greys = (pictures.noisy.std(1) < 1e-4).flatten(1).all(1)
    assert 0.05 < greys.float().mean() < 0.2
    beyond = ((pictures.noisy < 0) | (pictures.noisy > 1)).flatten(1).any(1)
    assert 0.05 < beyond.float().mean() < 0.4


def test_independent_noise_says_the_sigma_that_was_drawn(monkeypatch):
    monkeypatch.setattr(mixture, "SHARES", (0.0, 0, 0, 1, 0))
    monkeypatch.setattr(mixture, "PLAIN", 1.0)
    monkeypatch.setattr(mixture, "FLOAT_INDEPENDENT", 1.0)
    monkeypatch.setattr(mixture, "TONED_OF_GREY", 0.0)
    image = smooth(64, 64)
    pictures = camera(image, draw())
    level = pictures.level_BCHW
    assert torch.equal(level, level[..., :1, :1].expand_as(level))
    deviation = (pictures.noisy - pictures.clean).std((1, 2, 3)) * 255
    greys = level[:, 1, 0, 0] == 0
    assert 2 < greys.sum() < 20
    expected = torch.where(greys, level[:, 0, 0, 0] / GREY_LEVEL, level[:, 0, 0, 0])
    torch.testing.assert_close(deviation, expected, rtol=0.05, atol=0.1)
    assert expected.max() > 65


def test_without_noise_and_compression_nothing_is_asked_of_a_model(monkeypatch):
    """The target has the same tone curve, sharpening, scaling, denoising and demosaicing."""
    monkeypatch.setattr(mixture, "SHARES", (1.0, 0, 0, 0, 0))
    monkeypatch.setattr(mixture, "COMPRESSED", 0.0)
    for name in ("DENOISED", "CURVED", "SHARPENED", "RESIZED"):
        monkeypatch.setattr(mixture, name, 1.0)
    monkeypatch.setattr(mixture, "camera_noise", lambda image, generator: camera_noise(image, generator, (1e-9, 1e-9)))
    image = 0.1 + 0.8 * torch.rand(32, 3, 48, 48, generator=draw())
    pictures = camera(image, draw())
    assert (pictures.noisy - pictures.clean).abs().max() < 1.5 / 255
    assert (pictures.clean - image).abs().mean() > 0.05
    assert pictures.level_BCHW.max() < 1


def test_noise_has_no_mean():
    image = torch.full((200, 3, 32, 32), 0.5)
    pictures = camera(image, draw())
    assert (pictures.noisy - pictures.clean).mean().abs() < 0.01


def test_hue_turns_and_saturation_fades_colours_but_not_grey():
    matrices = hue_and_saturation(torch.tensor([1.0, 0.0, 2 * math.pi]), torch.tensor([1.5, 0.0, 1.0]))
    torch.testing.assert_close(matrices.sum(2), torch.ones(3, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(matrices[1], YCC[:1].expand(3, 3), rtol=0, atol=1e-5)
    torch.testing.assert_close(matrices[2], torch.eye(3), rtol=0, atol=1e-5)
    assert toned(torch.tensor([0.0, 0.5, 1]), torch.tensor(0.4)).tolist() == pytest.approx([0, 0.6, 1])


def test_recoloured_pictures_are_permuted_or_changed_or_neither():
    image = torch.rand(60, 3, 8, 8, generator=draw()) * 0.5
    other = recoloured(image, draw(1))
    same = (other == image).flatten(1).all(1)
    alike = (other.sort(1)[0] - image.sort(1)[0]).abs().amax((1, 2, 3)) < 1e-6
    assert 8 < same.sum() < alike.sum() < 50


def test_drawings_are_drawn_again_and_have_few_colours_and_strong_ones():
    generator, again = draw(), draw()
    pictures = [drawing(64, generator) for _ in range(40)]
    assert all((drawing(64, again) == picture).all() for picture in pictures)
    assert pictures[0].shape == (64, 64, 3)
    assert sum(((p.max(2) == 255) & (p.min(2) == 0)).mean() > 0.2 for p in pictures) > 8
    assert sum((abs(p[1:].astype(int) - p[:-1]).max(2) == 0).mean() > 0.6 for p in pictures) > 15
    assert all(p.std() > 0 for p in pictures[:10])


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


def test_plain_noise_has_the_level_it_says():
    """The drawn level for independent noise, the measured level for other noise; grey noise in grey pictures."""
    image = smooth(300, 48)
    made = plain_noise(image, draw(1))
    greys = (made.clean - made.clean[:, :1]).abs().amax((1, 2, 3)) < 1e-6
    assert 15 < greys.sum() < 70
    torch.testing.assert_close(made.clean[~greys], image[~greys])
    inside = (made.clean - 0.5).abs().amax((1, 2, 3)) < 0.35
    level, measured = made.level_BCHW.mean((2, 3)), noise_level(made.noisy - made.clean).mean((2, 3))
    little = inside & (level.amax(1) < 25)
    assert little.sum() > 50
    torch.testing.assert_close(level[little], measured[little], rtol=0.25, atol=0.4)
    assert measured[greys & (level[:, 0] < 25), 1].max() < 0.4
    assert level[~greys].max() > 60
    drawn = (made.level_BCHW == made.level_BCHW[..., :1, :1]).flatten(1).all(1)
    assert 0.3 < drawn.float().mean() < 0.6
    rounded = ((made.noisy * 255 - (made.noisy * 255).round()).abs() < 1e-3).flatten(1).all(1)
    assert 0.2 < rounded.float().mean() < 0.45


def test_plain_noise_without_any(monkeypatch):
    monkeypatch.setattr(plain, "NONE", 1.0)
    image = smooth(8)
    made = plain_noise(image, draw(2))
    assert (made.noisy - made.clean).abs().max() <= 0.5 / 255 + 1e-6
    assert made.level_BCHW.abs().max() == 0


def test_a_calm_hand_goes_straight_and_a_shaking_one_as_far():
    calm, shaken = (shake.walk(20, np.random.default_rng(0), anxiety) for anxiety in (0, 0.005))
    for way in (calm, shaken):
        assert abs(np.diff(way)).sum() == pytest.approx(20)
    assert abs(calm[-1]) == pytest.approx(20)
    assert abs(shaken[-1]) < 19


def test_the_kernel_of_a_way_by_hand():
    """Half the time at 0, half of it at 1.5: the middle is 0.75 to the right of the first."""
    way = np.array([0, 0, 1.5, 1.5], complex)
    expected = [0, 0.375, 0.25, 0.375, 0]
    kernel = shake.kernel_of_way(way, 5)
    np.testing.assert_allclose(kernel[2], expected)
    assert kernel.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="does not fit"):
        shake.kernel_of_way(4 * way, 5)

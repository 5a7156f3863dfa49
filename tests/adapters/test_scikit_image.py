"""`lnca.denoise` compared with scikit-image's own functions."""

import numpy as np
import pytest

import lnca

restoration = pytest.importorskip("skimage.restoration")
util = pytest.importorskip("skimage.util")


@pytest.fixture
def image():
    return np.random.default_rng(0).random((20, 28, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64, bool])
def test_shapes_and_data_types_are_those_of_scikit_image(image, weights, dtype):
    given = {np.uint8: util.img_as_ubyte, np.uint16: util.img_as_uint, bool: lambda x: x > 0.5}.get(
        dtype, lambda x: x.astype(dtype)
    )(image)
    theirs = restoration.denoise_tv_chambolle(given, channel_axis=-1)
    ours = lnca.denoise(given, weights, channel_axis=-1)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    assert ours.min() >= 0
    assert ours.max() <= 1
    grey = lnca.denoise(given[..., 0], weights)
    assert (grey.shape, grey.dtype) == ((20, 28), theirs.dtype)


def test_it_is_what_restore_gives_wherever_the_channels_are(image, weights):
    ours = lnca.denoise(image, weights, channel_axis=-1)
    assert np.array_equal(ours, lnca.restore(image, model=weights))
    for axis in (0, 1, -3):
        moved = lnca.denoise(np.moveaxis(image, -1, axis), weights, channel_axis=axis)
        assert np.array_equal(np.moveaxis(moved, axis, -1), ours)
    half = lnca.denoise(image, weights, strength=0.5, channel_axis=2)
    np.testing.assert_allclose(half, (ours + image) / 2, atol=1e-6)
    assert not np.array_equal(lnca.denoise(image, weights, steps=1, channel_axis=2), ours)


def test_other_numbers_of_channels_are_restored_one_by_one(image, weights):
    stack = np.concatenate([image, image[..., :2]], -1)
    ours = lnca.denoise(stack, weights, channel_axis=-1)
    assert ours.shape == stack.shape
    for channel in range(5):
        assert np.array_equal(ours[..., channel], lnca.denoise(stack[..., channel], weights))


def test_a_stack_is_its_pictures(image, weights):
    stack = np.stack([image, image[::-1], 1 - image])
    ours = lnca.denoise(stack, weights, channel_axis=-1)
    for given, found in zip(stack, ours, strict=True):
        assert np.array_equal(found, lnca.denoise(given, weights, channel_axis=-1))
    volume = lnca.denoise(stack[..., 0], weights)
    assert volume.shape == (3, 20, 28)
    assert np.array_equal(volume[1], lnca.denoise(stack[1, ..., 0], weights))


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_a_range_is_that_of_the_image(image, dtype):
    whole = np.round(4095 * image).astype(dtype)
    ours = lnca.denoise(whole, data_range=4095, channel_axis=-1)
    wanted = 4095 * lnca.denoise(np.round(4095 * image) / 4095, channel_axis=-1)
    assert ours.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_allclose(ours, wanted, atol=0.01)
    told = lnca.denoise(whole, data_range=4095, sigma=409.5, channel_axis=-1)
    np.testing.assert_allclose(told, 4095 * lnca.denoise(whole / 4095, sigma=0.1, channel_axis=-1), atol=0.01)


def test_noise_beyond_the_range_is_clipped(image, weights):
    noisy = image + np.random.default_rng(1).normal(0, 0.1, image.shape)
    clipped = lnca.denoise(noisy.clip(0, 1), weights, channel_axis=-1)
    assert np.array_equal(lnca.denoise(noisy, weights, channel_axis=-1), clipped)


def test_what_is_refused(image, weights):
    for wrong, axis, sentence in (
        (255 * image, -1, "but for noise, got values from .*; scale them first"),
        (np.full((16, 16), np.nan), None, "got NaN"),
        (image.astype(np.int16), -1, "bool, uint8, uint16 or floating point .*; say what white is with data_range"),
        (image.astype(complex), -1, r"got complex128$"),
        (image, None, "say channel_axis=-1"),
        (image[..., 0], 0, "two axes beside"),
        (image, 3, "has no axis 3"),
        (image[:4], -1, "at least 8x8 pixels"),
    ):
        with pytest.raises(lnca.LncaError, match=sentence):
            lnca.denoise(wrong, weights, channel_axis=axis)
    with pytest.raises(lnca.LncaError, match=r"should lie in \[0, 255\], but for noise, got values from .* to 4000"):
        lnca.denoise(np.full((16, 16), 4000), weights, data_range=255)
    with pytest.raises(lnca.LncaError, match="data_range should be above 0"):
        lnca.denoise(image, weights, data_range=0)

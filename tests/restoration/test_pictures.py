"""Conversion of all types of pictures and back."""

import numpy as np
import pytest
import torch
from PIL import Image

from lnca import LncaError
from lnca.restoration.pictures import Rows, like, to_image, to_tensor


def checker(mode):
    """A 10x9 image of a mode, with a varying alpha channel if the mode has one."""
    rows, columns = np.mgrid[:9, :10]
    rgba = np.stack([rows * 25, columns * 25, rows * columns, 255 - rows * 20], -1).astype(np.uint8)
    image = Image.fromarray(rgba)
    return image if mode == "RGBA" else (image if mode == "LA" else image.convert("RGB")).convert(mode)


@pytest.mark.parametrize(
    ("mode", "back"),
    [("RGB", "RGB"), ("L", "L"), ("LA", "LA"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L"), ("CMYK", "RGB")],
)
def test_an_unchanged_image_comes_back_the_same(mode, back):
    image = checker(mode)
    tensor = to_tensor(image)
    assert tensor.shape == (1, 3, 9, 10)
    assert tensor.dtype == torch.float32
    again = like(tensor, image)
    assert again.mode == back
    assert again.tobytes() == image.convert(back).tobytes()


def test_a_palette_with_transparency_keeps_it():
    image = checker("RGB").quantize(8)
    image.info["transparency"] = 2
    again = like(to_tensor(image), image)
    assert again.mode == "RGBA"
    assert again.tobytes() == image.convert("RGBA").tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,), (4,)])
def test_arrays_keep_shape_and_type(dtype, channels):
    pixels = np.random.default_rng(0).random((9, 11, *channels))
    array = (pixels * np.iinfo(dtype).max).astype(dtype) if np.issubdtype(dtype, np.integer) else pixels.astype(dtype)
    rows = Rows(array)
    room = rows.empty()
    rows.write(room, 0, rows.read(0, 9, 12))
    for again in (like(to_tensor(array), array), rows.finish(room)):
        assert again.dtype == dtype
        assert again.shape == array.shape
        np.testing.assert_allclose(again, array, rtol=1e-6, atol=0 if array.dtype.kind == "u" else 1e-6)


def test_grey_is_what_the_colours_amount_to_and_alpha_is_not_touched():
    array = np.random.default_rng(0).integers(0, 65536, (8, 9, 2)).astype(np.uint16)
    x = torch.zeros(1, 3, 8, 9)
    x[:, 1] = 1
    again = like(x, array)
    assert (again[..., 0] == round(0.587 * 65535)).all()
    assert np.array_equal(again[..., 1], array[..., 1])


def test_sixteen_bits_of_grey_keep_every_value():
    """Without a detour by 8 bits, neighbouring values stay different."""
    ramp = np.arange(64 * 1024, dtype=np.uint16).reshape(64, 1024)
    image = Image.fromarray(ramp)
    assert image.mode == "I;16"
    again = like(to_tensor(image), image)
    assert again.mode == "I;16"
    assert np.array_equal(np.asarray(again), ramp)


def test_arrays_may_be_views_and_read_only():
    array = np.random.default_rng(0).random((20, 24, 6), np.float32)[::2, ::-2, ::2]
    array.flags.writeable = False
    np.testing.assert_allclose(like(to_tensor(array), array), array, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tensors_keep_shape_and_type(dtype):
    x = torch.rand(2, 3, 8, 9).to(dtype)
    again = like(to_tensor(x), x)
    assert again.dtype == dtype
    torch.testing.assert_close(again, x, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("strength", "mask", "sentence"),
    [
        (1.5, None, "strength should lie between 0 and 1, got 1.5"),
        (1, np.zeros((9, 8), np.float32), "the mask is 8x9, the picture 9x8"),
        (1, np.full((8, 9), 255, np.uint8), "divide bytes by 255"),
        (1, np.full((8, 9), 2.0), "values in \\[0, 1\\]"),
        (1, np.full((8, 9), np.nan), "values in \\[0, 1\\]"),
    ],
)
def test_shares_that_are_refused(strength, mask, sentence):
    with pytest.raises(LncaError, match=sentence):
        Rows(np.zeros((8, 9, 3), np.uint8), strength, mask)


def test_the_last_bit_is_rounded():
    assert np.asarray(to_image(torch.full((3, 1, 1), 0.9999))).flatten().tolist() == [255] * 3
    assert np.asarray(to_image(torch.full((3, 1, 1), 1.7))).flatten().tolist() == [255] * 3


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (torch.full((1, 3, 8, 8), torch.nan), "holds NaN or infinite values"),
        (torch.full((1, 3, 8, 8), torch.inf), "holds NaN or infinite values"),
        (torch.full((1, 3, 8, 8), 1.5), "should lie in \\[0, 1\\], got 1.5 to 1.5; say what white is"),
        (np.full((8, 8, 3), -0.1), "got -0.1 to -0.1"),
        (torch.rand(2, 8, 8), "should have the shape \\(B, 3, H, W\\), .*, got \\(2, 8, 8\\)"),
        (torch.rand(1, 2, 8, 8), "should have the shape"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "should be floating point"),
        (np.zeros(8), "should have the shape \\(H, W\\) or \\(H, W, 1 to 4\\), got \\(8,\\)"),
        (np.zeros((8, 8, 5), np.uint8), "should have the shape"),
        (np.zeros((8, 8, 3), np.int64), "should be uint8, uint16, or floating point"),
        ([[0]], "not list"),
        (Image.new("F", (9, 9)), "pixels of kind 'F'; convert it"),
        (Image.new("LAB", (9, 9)), "pixels of kind 'LAB'"),
        (Image.new("RGB", (7, 9)), "at least 8x8 pixels, got 7x9"),
        (np.zeros((9, 7, 3), np.uint8), "at least 8x8"),
    ],
)
def test_what_is_refused(picture, sentence):
    with pytest.raises(LncaError, match=sentence):
        to_tensor(picture)

"""Transparent pixels do not bleed into visible ones, and do not change."""

import numpy as np
import pytest
from PIL import Image

import lnca
from conftest import textured
from lnca.images.hidden import filled
from lnca.restoration.pictures import to_tensor


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("size", [(8, 8), (300, 37), (9, 601)])
def test_hidden_colours_come_from_what_is_seen_around(dtype, size):
    full = 1 if dtype == np.float32 else np.iinfo(dtype).max
    colours = np.full((*size, 3), full // 4 if full > 1 else 0.25, dtype)
    hidden = np.random.default_rng(0).random(size) < 0.9
    hidden[: size[0] // 2] = True
    hidden[-1, -1] = False
    colours[hidden] = full
    result = filled(colours, hidden)
    assert result.dtype == dtype
    assert (result == colours[-1, -1]).all()
    assert (colours[hidden] == full).all()


def test_means_are_of_the_nearest(tmp_path):
    colours = np.zeros((16, 16, 1), np.uint8)
    hidden = np.ones((16, 16), bool)
    hidden[:, :4] = hidden[:, 12:] = False
    colours[:, :4], colours[:, 12:] = 40, 200
    result = filled(colours, hidden)
    assert (result[:, 4:8] == 40).all()
    assert (result[:, 8:12] == 200).all()


def test_nothing_hidden_or_nothing_seen_stays():
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    for hidden in (np.zeros((8, 8), bool), np.ones((8, 8), bool)):
        assert filled(colours, hidden) is colours


def hiding(mode, rubbish):
    """A picture whose right half is transparent and has other colours, and a mask of that half."""
    picture = np.array(textured(48, 32))
    pixels = np.array(Image.fromarray(picture).convert("L"))[..., None] if mode == "LA" else picture
    alpha = np.full((32, 48, 1), 255, np.uint8)
    alpha[:, 24:] = 0
    pixels = pixels.copy()
    pixels[:, 24:] = rubbish
    return np.concatenate([pixels, alpha], -1)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("as_image", [False, True])
@pytest.mark.parametrize("steps", [None, "auto"])
def test_what_is_seen_does_not_depend_on_what_is_not(weights, mode, as_image, steps):
    model = lnca.load(weights, "cpu")
    results = []
    for rubbish in (0, 255):
        given = hiding(mode, rubbish)
        restored = model.restore(Image.fromarray(given) if as_image else given, steps=steps)
        if as_image:
            assert restored.mode == mode
        restored = np.asarray(restored)
        assert (restored[:, 24:] == given[:, 24:]).all()
        assert (restored[:, :24] != given[:, :24]).any()
        results.append(restored[:, :24])
    assert np.array_equal(*results)


def test_a_palette_with_a_transparent_colour(weights):
    picture = textured(48, 32).quantize(16)
    picture.info["transparency"] = 3
    restored = lnca.load(weights, "cpu").restore(picture)
    before, after = np.asarray(picture.convert("RGBA")), np.asarray(restored)
    hidden = before[..., 3] == 0
    assert hidden.any()
    assert np.array_equal(before[hidden], after[hidden])


def test_tensors_of_pictures_have_filled_colours():
    tensor = to_tensor(hiding("RGBA", 255))
    assert tensor[..., 24:].max() < 1


def test_what_is_hidden_may_be_no_number(weights):
    picture = np.random.default_rng(5).random((24, 40, 4)).astype(np.float32)
    picture[..., 3] = 1
    picture[4:9, 5:30, 3] = 0
    odd = picture.copy()
    odd[4:9, 5:30, :3] = np.nan
    odd[5, 6, :3] = np.inf
    given, restored = lnca.restore(picture, model=weights), lnca.restore(odd, model=weights)
    seen = picture[..., 3] > 0
    assert np.array_equal(given[seen], restored[seen])
    assert np.array_equal(restored[~seen], odd[~seen], equal_nan=True)

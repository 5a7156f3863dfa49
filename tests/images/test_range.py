"""Ranges: small ranges, single values far beyond the others, and integers with fewer bits than the file."""

import io

import numpy as np
import pytest
import tifffile
import torch

from lnca.images.colours import from_light
from lnca.images.photo import Photo
from lnca.images.ranges import stretched, unstretched, without_defects
from lnca.images.reading import open_photo, read_photo
from lnca.images.writing import write_photo


def tiff(tmp_path, values):
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack" if values.ndim == 2 else "rgb")
    return tmp_path / "a.tif"


def noisy(shape, white=1.0, seed=1):
    rng = np.random.default_rng(seed)
    clean = 0.5 + 0.3 * np.sin(np.arange(shape[1]) / 9)[None, :]
    clean = clean if len(shape) == 2 else clean[..., None]
    return ((clean + rng.normal(0, 0.05, shape)) * white).astype(np.float32)


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
@pytest.mark.parametrize("hot", [65000.0, -300.0, 12.0])
def test_a_hot_pixel_does_not_change_the_scale(tmp_path, shape, hot):
    values = noisy(shape)
    expected = values.copy()
    places = [(7, 9), (0, 0), (39, 30)]
    for place in places:
        values[place] = hot
    photo = open_photo(tiff(tmp_path, values))
    assert photo.scale == (0.0, 1.0)
    assert photo.notes == [
        f"{3 * values[0, 0].size} values far beyond all others, such as {hot:g}, became like their neighbours"
    ]
    for y, x in places:
        around = expected[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].reshape(-1, *shape[2:])
        total = around.astype(np.float64).sum(0) - expected[y, x]
        assert photo.frames[0][y, x] == pytest.approx(total / (len(around) - 1), abs=1e-5)
        expected[y, x] = photo.frames[0][y, x]
    assert np.array_equal(photo.frames[0], expected)


def test_a_bright_spot_of_several_pixels_is_a_part_of_the_picture(tmp_path):
    values = noisy((40, 60))
    values[10:13, 10:13] = 20
    photo = open_photo(tiff(tmp_path, values))
    assert photo.notes == []
    assert photo.scale == pytest.approx((float(values.min()), 20 - float(values.min())))


def test_a_dead_pixel_and_many_hot_ones():
    values = 100 + noisy((400, 600))
    values[5, 5] = 0
    values[::12, ::12] = 9000
    frame = values.copy()
    photo = Photo([frame])
    (mended,) = without_defects(photo, photo.frames)
    assert photo.notes == [f"{34 * 50 + 1} values far beyond all others, such as 9000, became like their neighbours"]
    assert 100 < mended.min() < mended.max() < 101.5
    assert np.array_equal(frame, values)


def test_values_that_use_little_of_the_range_use_all_of_it_and_come_back(tmp_path):
    values = np.clip(noisy((40, 60), 0.01), 0, None)
    photo = open_photo(tiff(tmp_path, values))
    assert photo.frames[0].max() == 1
    assert "restored as if that were white" in photo.notes[0]
    for kind, worst in (("TIFF", 1e-8), ("PNG", 1 / 65535)):
        room = io.BytesIO()
        write_photo(photo, room, kind, "a")
        again = read_photo(io.BytesIO(room.getvalue()), "a")
        back = again.frames[0] * (again.scale[1] if kind == "TIFF" else 1 / 65535)
        assert np.abs(back - values).max() < worst


def test_black_stays_black(tmp_path):
    photo = open_photo(tiff(tmp_path, np.zeros((20, 20), np.float32)))
    assert photo.scale == (0.0, 1.0)
    assert photo.notes == []
    assert stretched(Photo([np.zeros((4, 4), np.uint16)]))[1] == 1


@pytest.mark.parametrize(("high", "factor"), [(200, 257), (1023, 64), (700, 64), (4095, 16), (4096, 1), (65535, 1)])
def test_whole_numbers_of_fewer_bits(high, factor):
    frame = np.array([[[0, high // 2, high, 65535]]], np.uint16)
    photo = Photo([frame])
    (wide,), found = stretched(photo)
    assert found == factor
    assert len(photo.notes) == (factor > 1)
    assert wide.tolist() == [[[0, high // 2 * factor, high * factor, 65535]]]
    assert np.array_equal(unstretched(wide, factor), frame)
    # Rounded to the nearest.
    wide = wide.copy()
    wide[0, 0, 0] += max(0, factor // 2 - 1)
    assert np.array_equal(unstretched(wide, factor), frame)


def test_a_hot_pixel_among_10_bits():
    frame = np.random.default_rng(2).integers(100, 1000, (40, 60), np.uint16)
    frame[7, 9] = 65535
    photo = Photo([frame.copy()])
    (wide,), factor = stretched(photo)
    assert factor == 64
    assert photo.notes == [
        "1 values far beyond all others, such as 65535, became like their neighbours",
        "values take 10 of 16 bits, and are restored as 10 bits",
    ]
    around = frame[6:9, 8:11].astype(int)
    frame[7, 9] = round((around.sum() - 65535) / 8)
    assert np.array_equal(unstretched(wide, factor), frame)


def test_bright_places_of_16_bits_are_no_defects():
    frame = np.random.default_rng(2).integers(100, 1000, (40, 60), np.uint16)
    frame[7:9, 9:11] = 65535
    photo = Photo([frame])
    (same,), factor = stretched(photo)
    assert (same is frame, factor, photo.notes) == (True, 1, [])


def test_a_hot_pixel_in_light():
    """Light beyond 49 times white scales all codes, but a single pixel does not."""
    light = np.random.default_rng(3).uniform(0.2, 0.8, (40, 60, 3)).astype(np.float32)
    hot = light.copy()
    hot[7, 9] = 60000
    photos = [from_light(Photo([values.copy()]), "a") for values in (light, hot)]
    assert [photo.peak for photo in photos] == [1.0, 1.0]
    assert "3 values far beyond all others" in photos[1].notes[0]
    others = np.ones((40, 60), bool)
    others[7, 9] = False
    assert np.array_equal(photos[0].frames[0][others], photos[1].frames[0][others])
    # The sun is not a defect.
    hot[20:24, 30:34] = 60000
    assert from_light(Photo([hot]), "a").peak == 60000


def test_10_bits_in_16_are_restored_as_well_as_16(command, tmp_path):
    clean = (512 + 300 * np.sin(np.arange(96) / 9)[None, :] * np.cos(np.arange(80) / 7)[:, None]).astype(np.float64)
    given = (clean + torch.randn(80, 96, generator=torch.Generator().manual_seed(3)).numpy() * 80).clip(0, 1023)
    tifffile.imwrite(tmp_path / "ten.tif", given.round().astype(np.uint16))
    tifffile.imwrite(tmp_path / "all.tif", (given.round() * 64).astype(np.uint16))
    errors = {}
    for name, white in (("ten", 1), ("all", 64)):
        status, _, stderr = command("restore", tmp_path / f"{name}.tif", "-o", tmp_path / f"{name}-out.tif")
        assert status == 0
        assert ("values take 10 of 16 bits" in stderr) == (name == "ten")
        restored = tifffile.imread(tmp_path / f"{name}-out.tif") / white
        errors[name] = np.abs(restored - clean).mean()
    assert errors["ten"] == pytest.approx(errors["all"], rel=0.03)
    assert errors["ten"] < 0.4 * np.abs(given - clean).mean()

"""Tile-shrink-clean."""

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import textured
from lnca import LncaError
from lnca.data.tiles import clean, load_tiles, tile


@pytest.mark.parametrize(("size", "count"), [((128, 64), 2), ((200, 130), 6), ((64, 64), 1), ((40, 90), 2)])
def test_a_picture_is_cut_into_squares_of_32(size, count):
    assert tile(textured(*size), 64).shape == (count, 32, 32, 3)


def test_tiles_come_row_by_row_and_are_shrunk():
    quarters = np.zeros((128, 128, 3), np.uint8)
    quarters[:64, 64:], quarters[64:, :64], quarters[64:, 64:] = 80, 160, 240
    tiles = tile(Image.fromarray(quarters), 64)
    assert [t.mean() for t in tiles] == pytest.approx([0, 80, 160, 240], abs=1)


def test_empty_and_repeated_tiles_are_dropped_and_order_stays():
    a, b = (tile(textured(32, 32, seed), 32)[0] for seed in (1, 2))
    flat = np.full_like(a, 77)
    kept = clean(np.stack([b, flat, a, b, a]))
    assert np.array_equal(kept, np.stack([b, a]))


def test_a_limit_draws_tiles_by_its_seed(pictures):
    paths = sorted(pictures.glob("*.png"))
    everything = load_tiles(paths, 32)
    assert everything.shape == (80, 3, 32, 32)
    assert everything.dtype == torch.uint8
    few, again, other = (load_tiles(paths, 32, 10, seed) for seed in (0, 0, 1))
    assert len(few) == 10
    assert torch.equal(few, again)
    assert not torch.equal(few, other)


def test_pictures_without_content_are_refused(tmp_path):
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    with pytest.raises(LncaError, match="no tile with any content in 1 picture"):
        load_tiles([tmp_path / "red.png"], 32)

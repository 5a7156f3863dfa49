"""Tile-shrink-clean."""

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import textured
from lnca import LncaError
from lnca.data.source import FilePicture, Sample
from lnca.data.tile_set import TileSet, turned
from lnca.data.tiles import distinct, tile, tiles_of


def pixels(width, height, seed=0):
    return np.asarray(textured(width, height, seed))


@pytest.mark.parametrize(("size", "count"), [((128, 64), 2), ((200, 130), 6), ((64, 64), 1), ((40, 90), 2)])
def test_a_picture_is_cut_into_squares_of_32(size, count):
    assert tile(pixels(*size), 64).shape == (count, 32, 32, 3)


def test_tiles_come_row_by_row_and_are_shrunk():
    quarters = np.zeros((128, 128, 3), np.uint8)
    quarters[:64, 64:], quarters[64:, :64], quarters[64:, 64:] = 80, 160, 240
    assert [t.mean() for t in tile(quarters, 64)] == pytest.approx([0, 80, 160, 240], abs=1)


def test_a_whole_picture_is_shrunk_to_one_tile():
    halves = np.zeros((90, 40, 3), np.uint8)
    halves[45:] = 200
    (only,) = tile(halves, None)
    assert only.shape == (32, 32, 3)
    assert (only[:14].mean(), only[18:].mean()) == pytest.approx((0, 200), abs=3)


def test_empty_and_repeated_tiles_are_dropped_and_order_stays():
    a, b = pixels(32, 32, 1), pixels(32, 32, 2)
    flat = np.full_like(a, 77)
    assert distinct(np.stack([b, flat, a, b, a])).tolist() == [0, 2]


def test_pairs_stay_together_and_the_clean_tile_decides(tmp_path):
    clean = np.concatenate([np.full((32, 32, 3), 50, np.uint8), pixels(32, 32)], 1)
    corrupted = clean[:, ::-1]
    for name, picture in (("clean", clean), ("corrupted", corrupted)):
        Image.fromarray(picture).save(tmp_path / f"{name}.png")
    sample = Sample("x", "x", FilePicture(tmp_path / "clean.png"), FilePicture(tmp_path / "corrupted.png"))
    good, bad = tiles_of(sample, 32)
    assert good.shape == bad.shape == (1, 3, 32, 32)
    assert np.array_equal(good[0].transpose(1, 2, 0), clean[:, 32:])
    assert np.array_equal(bad[0].transpose(1, 2, 0), corrupted[:, 32:])
    Image.fromarray(clean[:20]).save(tmp_path / "corrupted.png")
    with pytest.raises(LncaError, match="should have the same size, got 64x32 and 64x20"):
        tiles_of(sample, 32)


def test_the_eight_ways_to_turn_a_tile():
    tile = torch.rand(1, 3, 5, 5)
    results = turned(tile.expand(8, -1, -1, -1), torch.arange(8))
    expected = [turn for k in range(4) for turn in (tile[0].rot90(k, (1, 2)), tile[0].flip(-1).rot90(k, (1, 2)))]
    assert torch.equal(results[0], tile[0])
    assert all(sum(torch.equal(result, turn) for result in results) == 1 for turn in expected)


def test_partners_are_turned_alike():
    clean = np.random.default_rng(0).integers(0, 256, (20, 3, 32, 32), np.uint8)
    tiles = TileSet(clean, 255 - clean, np.arange(20), 1)
    first, partner = tiles.pairs(torch.arange(20), "denoise", 0, torch.Generator().manual_seed(0), augment=True)
    torch.testing.assert_close(1 - first, partner)
    assert not np.array_equal((first * 255).round().byte().numpy(), clean)

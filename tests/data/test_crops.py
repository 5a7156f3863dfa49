"""Crops of photographs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import textured
from lnca import LncaError
from lnca.data.crops import halved, open_crops
from lnca.degradation import Degraded, noise_level

SETS = ("train", "validation", "test")


@pytest.fixture
def folder(tmp_path):
    for index in range(5):
        textured(150 + index, 130, index).save(tmp_path / f"{index}.png")
    return tmp_path


def test_crops_are_parts_of_the_pictures_or_of_their_halves(folder):
    crops = open_crops(folder, "train", 0, 60, 100)
    assert len(crops) == 100
    assert crops.groups == 3
    assert {picture.shape[0] for picture in crops.pictures} == {130, 65}
    assert {picture.shape[0] for picture in open_crops(folder, "train", 0, 32, 100).pictures} == {130, 65, 32}
    clean, degraded = crops.pairs(torch.arange(20), "photo-deblur", 1, torch.Generator().manual_seed(0))
    assert clean.shape == degraded.shape == (20, 3, 60, 60)
    crop = (clean[0] * 255).round().byte().permute(1, 2, 0).numpy()
    windows = [np.lib.stride_tricks.sliding_window_view(p, (60, 60, 3)).reshape(-1, 60, 60, 3) for p in crops.pictures]
    assert any((window == crop).all((1, 2, 3)).any() for window in windows)


def test_a_blurred_crop_is_made_of_what_lies_around_it(folder):
    """The clean crop has the requested size, and pictures without room for the margin are left out."""
    crops = open_crops(folder, "train", 0, 60, 100, 16)
    assert {picture.shape[0] for picture in crops.pictures} == {130}
    clean, degraded = crops.pairs(torch.arange(4), "photo-deblur", 1, torch.Generator().manual_seed(0))
    assert clean.shape == degraded.shape == (4, 3, 60, 60)
    wide = open_crops(folder, "train", 0, 92, 100, 0)
    with_margin, _ = wide.pairs(torch.arange(4), "photo-deblur", 1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(with_margin[..., 16:-16, 16:-16], clean)


def test_the_same_generator_draws_the_same_pairs(folder):
    crops = open_crops(folder, "validation", 0, 32, 10)
    first, again = (
        crops.pairs(torch.arange(6), "photo-denoise", 1, torch.Generator().manual_seed(4), augment=True) for _ in "ab"
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_noisy_crops_come_with_their_level_and_some_are_drawings(folder, monkeypatch):
    crops = open_crops(folder, "train", 0, 48, 10, 8)
    pictures = crops.noisy(torch.arange(64), torch.Generator().manual_seed(0), augment=True)
    assert pictures.clean.shape == pictures.noisy.shape == (64, 3, 48, 48)
    assert pictures.level_BCHW.shape == (64, 2, 6, 6)
    measured = noise_level(pictures.noisy - pictures.clean).mean((1, 2, 3))
    assert torch.corrcoef(torch.stack([measured, pictures.level_BCHW.mean((1, 2, 3))]))[0, 1] > 0.98
    monkeypatch.setattr("lnca.data.crops.DRAWN", 1.0)
    drawn = crops.noisy(torch.arange(16), torch.Generator().manual_seed(0))
    assert (drawn.clean[..., 1:, :] == drawn.clean[..., :-1, :]).float().mean() > 0.5


def test_some_crops_have_plain_noise_and_each_keeps_its_level(folder, monkeypatch):
    """The camera is replaced by one without effect, which shows the plain crops and the order of rows."""
    crops = open_crops(folder, "train", 0, 32, 10, 8)
    still = lambda clean, draw: Degraded(clean, clean, torch.zeros(len(clean), 2, 6, 6))  # noqa: E731
    monkeypatch.setattr("lnca.data.crops.camera", still)
    pictures = crops.noisy(torch.arange(80), torch.Generator().manual_seed(0), plain=0.5)
    spoilt = (pictures.noisy != pictures.clean).flatten(1).any(1)
    assert 25 < spoilt.sum() < 55
    assert not pictures.level_BCHW[~spoilt].any()
    measured = noise_level(pictures.noisy - pictures.clean).mean((1, 2, 3))[spoilt]
    level = pictures.level_BCHW.mean((1, 2, 3))[spoilt]
    assert torch.corrcoef(torch.stack([measured, level]))[0, 1] > 0.9


def test_crops_of_another_side_come_from_pictures_that_have_room(folder):
    crops = open_crops(folder, "train", 0, 48, 10, 8)
    wider = crops.of_side(96)
    assert {picture.shape[0] for picture in crops.pictures} == {130, 65}
    assert {picture.shape[0] for picture in wider.pictures} == {130}
    assert len(wider) == len(crops)
    assert wider.noisy(torch.arange(2), torch.Generator().manual_seed(0)).level_BCHW.shape == (2, 2, 12, 12)
    with pytest.raises(LncaError, match="sides of 176 pixels"):
        crops.of_side(160)


def test_more_pictures_are_for_training_alone(folder, tmp_path_factory):
    more = tmp_path_factory.mktemp("more")
    textured(200, 210, 9).save(more / "another.png")
    sizes = {split: {p.shape[0] for p in open_crops(folder, split, 0, 60, 9, also=more).pictures} for split in SETS}
    assert sizes == {"train": {130, 65, 210, 105}, "validation": {130, 65}, "test": {130, 65}}
    assert open_crops(folder, "train", 0, 60, 9, also=more).groups == 4


def test_larger_pictures_are_drawn_from_more_often_but_not_in_proportion(tmp_path):
    """Areas are as 1 to 16: of 400 crops about 80 and not 24 are of the small one."""
    Image.new("RGB", (40, 40), "red").save(tmp_path / "small.png")
    Image.new("RGB", (160, 160), "blue").save(tmp_path / "large.png")
    Image.new("RGB", (40, 40), "red").save(tmp_path / "other.png")
    crops = open_crops(tmp_path, "train", 0, 40, 1)
    crops = replace(crops, pictures=[np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("small", "large")])
    clean, _ = crops.pairs(torch.arange(400), "photo-deblur", 1, torch.Generator().manual_seed(0))
    small = (clean[:, 0].mean((1, 2)) > 0.5).sum()
    assert 50 < small < 110


def test_splits_share_no_picture(folder):
    digests = {
        split: {p.tobytes() for p in open_crops(folder, split, 0, 32, 1).pictures} for split in ("train", "test")
    }
    assert not digests["train"] & digests["test"]


def test_pictures_that_are_too_small_are_named(folder):
    with pytest.raises(LncaError, match="sides of 200 pixels"):
        open_crops(folder, "train", 0, 200, 1)


def test_a_half_is_the_mean_of_four():
    picture = np.asarray(Image.effect_noise((9, 6), 50).convert("RGB"))
    small = halved(picture)
    assert small.shape == (3, 4, 3)
    assert abs(int(small[0, 0, 0]) - picture[:2, :2, 0].mean()) <= 0.5

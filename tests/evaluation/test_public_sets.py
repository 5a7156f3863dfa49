"""Sets and pairs are found in the folders of their authors, and grey is that of papers."""

import numpy as np
import pytest
from PIL import Image

from conftest import textured
from lnca import LncaError
from lnca.evaluation.public_sets import read, real_pairs, set_pictures


def test_every_nth_picture_of_a_set_by_name(tmp_path):
    (tmp_path / "Kodak24").mkdir()
    for name in ("c", "a", "d", "b"):
        textured(16, 16).save(tmp_path / "Kodak24" / f"{name}.png")
    assert [path.stem for path in set_pictures(tmp_path, "Kodak24", 3)] == ["a", "d"]


def test_a_set_that_is_not_there_is_named(tmp_path):
    with pytest.raises(LncaError, match=r"has no folder CBSD68; .*--sets"):
        set_pictures(tmp_path, "CBSD68")


def test_pairs_are_a_noisy_picture_and_its_mean(tmp_path):
    for name in ("one_real", "one_mean", "two_real", "two_mean"):
        textured(16, 16).save(tmp_path / f"{name}.JPG")
    pairs = real_pairs(tmp_path)
    assert [(pair.noisy.stem, pair.truth.stem) for pair in pairs] == [
        ("one_real", "one_mean"),
        ("two_real", "two_mean"),
    ]
    assert len(real_pairs(tmp_path, 2)) == 1


def test_a_pair_without_its_truth_is_named(tmp_path):
    textured(16, 16).save(tmp_path / "one_real.JPG")
    with pytest.raises(LncaError, match="one_mean.JPG is missing"):
        real_pairs(tmp_path)


def test_a_folder_without_pairs(tmp_path):
    textured(16, 16).save(tmp_path / "one.JPG")
    with pytest.raises(LncaError, match="holds no pair"):
        real_pairs(tmp_path)


def test_grey_is_the_luma_of_bt_601_at_full_range(tmp_path):
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[0, :5] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (10, 20, 30)
    Image.fromarray(colours).save(tmp_path / "colours.png")
    # 0.299, 0.587 and 0.114 of 255; 2.99 + 11.74 + 3.42.
    assert read(tmp_path / "colours.png", grey=True)[0, :5].tolist() == [76, 150, 29, 255, 18]
    assert np.array_equal(read(tmp_path / "colours.png"), colours)

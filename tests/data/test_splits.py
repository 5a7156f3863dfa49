"""Splits by picture."""

from pathlib import Path

import pytest

from lnca import LncaError
from lnca.data.splits import split_pictures

PATHS = [Path(f"{index:03}.jpg") for index in range(100)]


def test_sizes_are_80_20_and_80_20_and_nothing_is_in_two_sets():
    split = split_pictures(PATHS, 0)
    assert (len(split.train), len(split.validation), len(split.test)) == (64, 16, 20)
    assert sorted(split.train + split.validation + split.test) == PATHS


def test_names_and_seed_decide_not_the_order_of_a_listing():
    assert split_pictures(PATHS[::-1], 0) == split_pictures(PATHS, 0)
    assert split_pictures(PATHS, 1) != split_pictures(PATHS, 0)


def test_three_pictures_are_enough_and_two_are_not():
    split = split_pictures(PATHS[:3], 0)
    assert (len(split.train), len(split.validation), len(split.test)) == (1, 1, 1)
    with pytest.raises(LncaError, match=r"2 picture\(s\) are too few to split"):
        split_pictures(PATHS[:2], 0)

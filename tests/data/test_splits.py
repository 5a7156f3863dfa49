"""Splits by picture."""

import pytest

from lnca import LncaError
from lnca.data.splits import split_groups

NAMES = [f"{index:03}.jpg" for index in range(100)]


def named(names, seed):
    split = split_groups(names, seed)
    return {part: [names[index] for index in numbers] for part, numbers in split.items()}


def test_sizes_are_80_20_and_80_20_and_nothing_is_in_two_sets():
    split = named(NAMES, 0)
    assert {part: len(found) for part, found in split.items()} == {
        "train": 64,
        "validation": 16,
        "test": 20,
        "all": 100,
    }
    assert sorted(split["train"] + split["validation"] + split["test"]) == NAMES == split["all"]


def test_names_and_seed_decide_not_the_order_of_a_listing():
    assert named(NAMES[::-1], 0) == named(NAMES, 0)
    assert named(NAMES, 1) != named(NAMES, 0)


def test_three_groups_are_enough_and_two_are_not():
    split = named(NAMES[:3], 0)
    assert [len(split[part]) for part in ("train", "validation", "test")] == [1, 1, 1]
    with pytest.raises(LncaError, match="2 pictures are too few to split"):
        split_groups(NAMES[:2], 0)

"""80/20 training and test, then 80/20 training and validation of the first part (paper 4.2), by source picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import LncaError
from ..randomness import generator

FEWEST_PICTURES = 3


@dataclass(frozen=True)
class Split:
    """Picture files of each set, sorted by name."""

    train: list[Path]
    validation: list[Path]
    test: list[Path]


def split_pictures(paths: Sequence[Path], seed: int) -> Split:
    """Splits pictures, so that no two tiles of one picture lie in different sets.

    The result depends on the sorted file names and the seed only.

    Raises:
        LncaError: fewer than 3 pictures.
    """
    if len(paths) < FEWEST_PICTURES:
        raise LncaError(
            f"{len(paths)} picture(s) are too few to split in training, validation and test set; give at least "
            f"{FEWEST_PICTURES}, better a hundred"
        )
    ordered = sorted(paths, key=lambda path: path.name)
    order = torch.randperm(len(ordered), generator=generator("cpu", seed, "split")).tolist()
    test = max(1, round(0.2 * len(order)))
    validation = max(1, round(0.2 * (len(order) - test)))
    parts = np.split(np.array(order), [test, test + validation])
    test_set, validation_set, train_set = ([ordered[i] for i in sorted(part)] for part in parts)
    return Split(train_set, validation_set, test_set)

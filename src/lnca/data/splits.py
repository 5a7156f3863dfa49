"""80/20 training and test, then 80/20 training and validation of the first part (paper 4.2), by source picture."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from ..errors import LncaError
from ..randomness import generator

FEWEST_PICTURES = 3


class TooFew(LncaError):
    """There are too few pictures for three sets."""


Split = Literal["train", "validation", "test", "all"]


def split_groups(names: Sequence[str], seed: int) -> dict[str, list[int]]:
    """Splits groups of pictures (each a picture, a scene or a film), so that no group lies in two sets.

    The result depends only on the sorted names and the seed.

    Returns:
        Numbers of the groups, sorted by name, for "train", "validation", "test" and "all".

    Raises:
        TooFew: fewer than 3 groups.
    """
    if len(names) < FEWEST_PICTURES:
        which = "1 picture is" if len(names) == 1 else f"{len(names)} pictures are"
        raise TooFew(
            f"{which} too few to split in training, validation and test set; give at least {FEWEST_PICTURES}, better a "
            "hundred"
        )
    by_name = sorted(range(len(names)), key=lambda index: names[index])
    order = torch.randperm(len(names), generator=generator("cpu", seed, "split")).numpy()
    test = max(1, round(0.2 * len(order)))
    validation = max(1, round(0.2 * (len(order) - test)))
    parts = np.split(order, [test, test + validation])
    sets = zip(("test", "validation", "train"), parts, strict=True)
    return {name: [by_name[i] for i in sorted(part)] for name, part in sets} | {"all": by_name}

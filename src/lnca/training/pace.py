"""Computes how much training fits into some minutes. It measures before the run begins, so the run itself does not
depend on a clock and gives the same bytes however often it is interrupted."""

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import LncaError


class Cost(NamedTuple):
    """Seconds of a batch and of a validation in a phase, and its number of epochs."""

    epochs: int
    batch: float
    validation: float


def batches_within(minutes: float, costs: Sequence[Cost]) -> int:
    """The number of batches an epoch, the same in all phases, that fits into `minutes` together with validation.

    Raises:
        LncaError: validation leaves no time for training.
    """
    left = 60 * minutes - sum(cost.epochs * cost.validation for cost in costs)
    batches = int(left / sum(cost.epochs * cost.batch for cost in costs))
    if batches < 1:
        raise LncaError(
            f"--minutes {minutes:g} leave no time for a batch in each epoch beside validation; give more minutes, "
            "fewer --epochs or --set validation_tiles=8"
        )
    return batches

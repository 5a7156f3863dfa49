"""How much training fits into some minutes: measured before it begins, so that the run itself knows no clock, and ends
with the same bytes however often it is interrupted."""

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import LncaError


class Cost(NamedTuple):
    """Seconds of a batch and of one validation in a phase of so many epochs."""

    epochs: int
    batch: float
    validation: float


def batches_within(minutes: float, costs: Sequence[Cost]) -> int:
    """Batches an epoch, the same in all phases, that take so many minutes together with the validations.

    Raises:
        LncaError: validations leave no time.
    """
    left = 60 * minutes - sum(cost.epochs * cost.validation for cost in costs)
    batches = int(left / sum(cost.epochs * cost.batch for cost in costs))
    if batches < 1:
        raise LncaError(
            f"--minutes {minutes:g} leave no time for a batch in each epoch beside validation; give more minutes, "
            "fewer --epochs or --set validation_tiles=8"
        )
    return batches

"""What every way to restore pictures with one model has in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import LncaError
from ..runtime.deblurring import Blur
from ..runtime.native import Precision
from ..runtime.settling import NEEDED
from .pictures import Rows

# What is said of those that are not.
IN_BANDS = "models that are restored in bands, on the CPU; this one is restored in one piece"

# Noise levels (B or 1, 2, H / 8, W / 8) in 255ths, when they are wanted.
Levels = Callable[[], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of a restoration, beside the picture.

    Args:
        steps: of the model; its own number when None.
        max_memory: bytes that may be used beside the picture.
        levels: of models that are told how much noise there is.
        kernel: a blur kernel (K, L) of sum 1, or all that is known of the blur, of models that take one; None has the
            model find it.
    """

    steps: int | None = None
    max_memory: int | None = None
    levels: Levels | None = None
    kernel: np.ndarray | Blur | None = None

    def level(self) -> np.ndarray:
        """The noise levels."""
        assert self.levels is not None
        return self.levels()


class AnyPlan(Protocol):
    """How a picture is restored; printed, it says so."""

    @property
    def memory(self) -> int:
        """The most bytes used at a time, beside the picture itself."""


class Streamer(ABC):
    """Restores pictures with one model.

    Attributes:
        steps: the model's own number; None of a model without steps.
        takes_noise_level: whether the model is told how much noise there is.
        takes_kernel: whether it can be told the blur kernel.
        side: pixels of the side of a cell; 1 of a model without a lattice.
    """

    steps: int | None = None
    takes_noise_level = False
    takes_kernel = False
    side = 1
    precision: Precision = "float32"

    @abstractmethod
    def restored(self, picture: Rows, request: Request) -> Any:
        """The picture restored, as the kind it came in.

        Raises:
            LncaError: it does not fit into the memory that is allowed.
        """

    @abstractmethod
    def states(self, picture: Rows, request: Request) -> Iterator[Any]:
        """Yields the picture as it is restored after 0, 1, ..., `request.steps` steps."""

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False) -> AnyPlan:
        """How a picture is restored within `max_memory` bytes, or settled.

        Raises:
            LncaError: it does not fit, or this way of restoring has no plans.
        """
        raise LncaError(f"a plan is for {IN_BANDS}")

    def settle(
        self, picture: Rows, tolerance: float | None, steps: int | None = None, max_memory: int | None = None
    ) -> tuple[Any, np.ndarray]:
        """The picture restored without the steps of settled cells, and the steps of each, int32 (B, rows, columns).

        Args:
            tolerance: see `lnca.runtime.settling.Settling`; the usual one when None.
            steps: at most so many; the model's own number when None.
            max_memory: see `plan`.

        Raises:
            LncaError: as `plan`; cells of such a model do not settle.
        """
        raise LncaError(NEEDED)

    def levels(self, picture: Rows) -> np.ndarray:
        """The noise levels that the picture itself tells, (B, 2, H / 8, W / 8) in 255ths, rounded up."""
        raise NotImplementedError

    def blurs(self, picture: Rows, level_BLhw: np.ndarray, kernel: np.ndarray | None = None) -> list[Blur]:
        """What is known of each picture's blur: the kernel (K, L) that is told, or else its own estimate."""
        raise NotImplementedError

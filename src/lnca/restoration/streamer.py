"""The interface of streamers, which restore pictures with one model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..errors import LncaError
from ..runtime.blur import Blur
from ..runtime.native import Precision
from ..runtime.settling import UNSUPPORTED
from .pictures import Rows

# End of messages for models that cannot be restored in bands.
IN_BANDS = "models that are restored in bands, on the CPU; this one is restored in one piece"

# A function that returns noise levels (B or 1, 2, H / 8, W / 8) in 255ths.
Levels = Callable[[], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to restore a picture.

    Args:
        steps: steps of the model; its own number if None.
        max_memory: memory limit in bytes, beside the picture.
        levels: noise levels, for models that take them.
        kernel: for models that take one, a blur kernel (K, L) with a sum of 1, or a complete blur; None lets the model
            estimate it.
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
    """A plan for restoring a picture; its string describes it."""

    @property
    def memory(self) -> int:
        """Peak memory in bytes, beside the picture itself."""


class Streamer(ABC):
    """Restores pictures with one model.

    Attributes:
        steps: the model's own number of steps; None for models without steps.
        takes_noise_level: whether the model takes a noise level.
        takes_kernel: whether the model takes a blur kernel.
        side: side of a cell in pixels; 1 for models without a lattice.
    """

    steps: int | None = None
    takes_noise_level = False
    takes_kernel = False
    side = 1
    precision: Precision = "float32"

    @abstractmethod
    def restored(self, picture: Rows, request: Request) -> Any:
        """The restored picture, as the type of the input.

        Raises:
            LncaError: it does not fit into the allowed memory.
        """

    @abstractmethod
    def states(self, picture: Rows, request: Request) -> Iterator[Any]:
        """Yields the restored picture after 0, 1, ..., `request.steps` steps."""

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False) -> AnyPlan:
        """The plan for restoring or settling a picture within `max_memory` bytes.

        Raises:
            LncaError: the picture does not fit, or this streamer has no plans.
        """
        raise LncaError(f"a plan is for {IN_BANDS}")

    def settle(
        self, picture: Rows, tolerance: float | None, steps: int | None = None, max_memory: int | None = None
    ) -> tuple[Any, np.ndarray]:
        """Restores a picture and skips settled cells; also returns the steps of each cell, int32 (B, rows, columns).

        Args:
            tolerance: see `lnca.runtime.settling.Settling`; the default if None.
            steps: largest number of steps; the model's own number if None.
            max_memory: see `plan`.

        Raises:
            LncaError: see `plan`; or cells of this model do not settle.
        """
        raise LncaError(UNSUPPORTED)

    def levels(self, picture: Rows) -> np.ndarray:
        """The estimated noise levels of a picture, (B, 2, H / 8, W / 8) in 255ths, sizes rounded up."""
        raise NotImplementedError

    def blurs(self, picture: Rows, level_BLhw: np.ndarray, kernel: np.ndarray | None = None) -> list[Blur]:
        """The blur of each picture: from the given kernel (K, L), or else estimated."""
        raise NotImplementedError

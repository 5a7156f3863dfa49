"""Pictures of any size in bounded memory with an automaton on three lattices, with the same pixels as in one piece.

The picture is restored from top to bottom; of every intermediate picture only the rows that are still needed are kept
(`kernels.pyramid`). Where even those are too wide for the memory that is allowed, the picture is cut into strips of
columns, which overlap as far as the automaton sees. The noise levels are found before, by a pass of their own whose
bands are always the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from ..errors import LncaError
from ..kernels.cpu import Precision
from ..kernels.folding import versions
from ..kernels.native import best_level, loaded_library
from ..kernels.pyramid import FusedPyramid, spread_rows
from ..nn.noise_level import SIDE, NoiseEstimator, estimated
from ..nn.pyramid import PyramidAutomaton
from .pictures import Rows

COMFORTABLE_BAND = 128
SMALLEST_BAND = 16
# Pixels of the side of two coarse cells.
EVEN = 2 * SIDE
# Of the memory that is allowed: the rest is for what an allocator does not give back at once.
SHARE = 0.8


@dataclass(frozen=True)
class RollingPlan:
    """How a picture is restored.

    Args:
        rows, columns: of cells of 8x8 pixels.
        band: rows of pixels that are made at a time.
        strip: columns of cells that are restored at a time.
        memory: the most bytes used at a time, beside the picture itself.
    """

    rows: int
    columns: int
    band: int
    strip: int
    memory: int

    def __str__(self) -> str:
        strips = -(-self.columns // self.strip)
        cut = "" if strips == 1 else f", {strips} strips of columns"
        return (
            f"{self.columns}x{self.rows} cells of 8x8 pixels, {self.band} rows of pixels at a time{cut}; "
            f"{self.memory / 1e6:.0f} MB beside the picture"
        )


class RollingStreamer:
    """Restores with a `PyramidAutomaton` on the CPU.

    Args:
        model: in evaluation mode.
        precision: see `FusedPyramid`.

    Raises:
        LncaError: the kernels were not built.
    """

    def __init__(self, model: PyramidAutomaton, precision: Precision = "float32"):
        loaded_library()
        self.model, self.precision = model, precision
        self._fold()

    def _fold(self) -> None:
        """Copies the weights as they are now."""
        self._versions = self._weights()
        level = best_level()
        assert level is not None
        self.fused = FusedPyramid(self.model, level, self.precision)

    def _weights(self) -> list[tuple[int, int]]:
        """Changes when a weight does."""
        return versions(self.model.state_dict(keep_vars=True).values())

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False) -> RollingPlan:
        """The quickest way to restore a picture within `max_memory` bytes.

        Raises:
            LncaError: not even the smallest plan fits; or `settle`.
        """
        if settle:
            _refuse()
        rows, columns = -(-picture.height // SIDE), -(-picture.width // SIDE)
        row, beside = self.fused.floats(len(self.model.rules))
        reach = self.fused.reach(len(self.model.rules))
        fixed = picture.bytes + picture.result_bytes + picture.batch * rows * columns * 4 * 60
        fixed += picture.batch * columns * SIDE * 4 * 3 * COMFORTABLE_BAND

        def used(band: int, strip: int) -> int:
            wide = min(strip * SIDE + 2 * reach + SIDE, columns * SIDE)
            return fixed + picture.batch * wide * 4 * (row * min(band, rows * SIDE) + min(beside, row * rows * SIDE))

        if max_memory is None:
            band = min(COMFORTABLE_BAND, rows * SIDE)
            return RollingPlan(rows, columns, band, columns, used(band, columns))
        budget = SHARE * max_memory
        strip = columns
        while True:
            for band in (COMFORTABLE_BAND, 64, 32, SMALLEST_BAND):
                if used(band, strip) <= budget:
                    return RollingPlan(rows, columns, band, strip, used(band, strip))
            if strip == 1:
                break
            strip = -(-strip // 2)
        least = used(SMALLEST_BAND, 1) / SHARE
        raise LncaError(
            f"a picture of {picture.width}x{picture.height} needs at least {least / 1e6:.0f} MB beside itself, "
            f"and --max-memory allows {max_memory / 1e6:.0f} MB"
        )

    def levels(self, picture: Rows) -> Tensor:
        """The noise levels that the picture itself tells, (B, 2, H / 8, W / 8) in 255ths."""
        return levels_of(picture, self.model.estimator)

    def restore(self, picture: Rows, steps: int | None, plan: RollingPlan, level_BLhw: Tensor) -> Any:
        """The picture restored, as the kind it came in."""
        room = picture.empty()
        for begin, left, restored in self._bands(picture, self._steps(steps), plan, level_BLhw):
            picture.write(room, begin, restored, left=left)
        return picture.finish(room)

    def frames(self, picture: Rows, steps: int, level_BLhw: Tensor) -> Iterator[Any]:
        """Yields the picture as it is restored after 0, 1, ..., `steps` steps."""
        plan = self.plan(picture)
        for step in range(steps + 1):
            yield self.restore(picture, step, plan, level_BLhw)

    def _steps(self, steps: int | None) -> int:
        """Steps that change something."""
        return min(self.model.steps if steps is None else steps, len(self.model.rules))

    def _bands(
        self, picture: Rows, steps: int, plan: RollingPlan, level_BLhw: Tensor
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Yields bands of restored rows, each with the numbers of its first row and column."""
        if self._weights() != self._versions:
            self._fold()
        reach, width, height = self.fused.reach(steps), plan.columns * SIDE, plan.rows * SIDE
        level = spread_rows(level_BLhw.expand(picture.batch, -1, plan.rows, plan.columns))
        for left in range(0, width, plan.strip * SIDE):
            right = min(left + plan.strip * SIDE, width)
            # From where squares of four coarse cells begin (`cpu/winograd.h`).
            first, last = max(left - reach, 0) // EVEN * EVEN, min(right + reach, width)

            def image(begin: int, end: int, first: int = first, last: int = last) -> Tensor:
                return picture.read(begin, end, last - first, first)

            def levels(begin: int, end: int, first: int = first, last: int = last) -> Tensor:
                return level(begin, end)[:, :, first // 2 : last // 2].contiguous()

            rows = self.fused(image, levels, height, steps)
            for begin in range(0, height, plan.band):
                restored = rows(begin, min(begin + plan.band, height))
                yield begin, left, restored[:, :, left - first : right - first]

    def settle(self, picture: Rows, tolerance: float, steps: int | None, plan: RollingPlan) -> tuple[Any, np.ndarray]:
        """Raises `LncaError`: each step has a rule of its own, so that no cell settles before the last one."""
        _refuse()


@torch.no_grad()
def levels_of(picture: Rows, estimator: NoiseEstimator, device: torch.device | str = "cpu") -> Tensor:
    """The noise levels (B, 2, H / 8, W / 8) in 255ths that an estimator on a device sees, band by band."""
    width, height = -(-picture.width // SIDE) * SIDE, -(-picture.height // SIDE) * SIDE
    return estimated(
        estimator, lambda begin, end: picture.read(begin, end, width).permute(0, 3, 1, 2).to(device), height
    )


def _refuse() -> NoReturn:
    raise LncaError("this model's cells all take every step; --steps auto is for models whose cells settle")

"""Deblurs pictures of any size in bounded memory: estimates the kernel in one part of a picture, then restores the
picture window by window.

Windows of a fixed size overlap, and their results are mixed there, so that no seams show. The windows depend only on
the sizes of picture and kernel, so any plan gives the same bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn, Protocol

import numpy as np

from ..errors import LncaError
from ..runtime.deblurring import (
    EDGE_BLOCK,
    ESTIMATION_SIDE,
    ROUNDS,
    Blur,
    blended_rounds,
    brightness,
    capped_by_spectrum,
    edges,
    estimated,
    estimation_corner,
    filter_level,
)
from .pictures import Rows
from .pyramid import USABLE_MEMORY
from .streamer import Request, Streamer

# Rows and columns of a window, whose transform is quick with its border, and of the overlap of two; more for kernels
# of more rows than the last.
WINDOW, OVERLAP, LARGE = 1088, 128, 96
# Floats a pixel of a window that are in use at a time, beside those of the cells.
FLOATS = 16


@dataclass(frozen=True)
class DeblurPlan:
    """A plan for restoring a picture.

    Args:
        rows, columns: number of rows and columns of windows.
        side: side of a window in pixels.
        memory: peak memory in bytes, beside the picture itself.
    """

    rows: int
    columns: int
    side: int
    memory: int

    def __str__(self) -> str:
        return (
            f"{self.columns}x{self.rows} windows of {self.side}x{self.side} pixels; "
            f"{self.memory / 1e6:.0f} MB beside the picture"
        )


class CleaningCells(Protocol):
    """The interface of cells that clean the output of a filter; see `PyramidStreamer`."""

    def clean(self, image_BCHW: np.ndarray, level: float, steps: int) -> np.ndarray: ...

    def levels(self, picture: Rows) -> np.ndarray: ...

    def bytes_of(self, height: int, width: int) -> int: ...


class DeblurStreamer(Streamer):
    """Restores with a deblurrer.

    Args:
        cells: cells of its automaton.
        steps: the model's own number of rounds.
    """

    steps: int
    takes_noise_level = True
    takes_kernel = True

    def __init__(self, cells: CleaningCells, steps: int = ROUNDS):
        self.cells, self.steps = cells, steps
        self.clean = cells.clean

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False, kernel: int = 0) -> DeblurPlan:
        """The plan for restoring a picture in `max_memory` bytes.

        Args:
            kernel: the longest side of a given kernel.

        Raises:
            LncaError: the picture does not fit, or `settle` is true.
        """
        if settle:
            _refuse("steps that end where cells settle are for others")
        side, overlap = window_of(kernel)
        rows, columns = (len(window_starts(size, side, overlap)) for size in (picture.height, picture.width))
        high, wide = (min(side, size) + 2 * max(kernel, 64) for size in (picture.height, picture.width))
        window = high * wide * 4 * FLOATS + self.cells.bytes_of(high, wide)
        band = picture.batch * min(side, picture.height) * picture.width * 3 * 4 * 2
        memory = picture.bytes + picture.result_bytes + window + band
        if max_memory is not None and memory > USABLE_MEMORY * max_memory:
            least = memory / USABLE_MEMORY / 1e6
            raise LncaError(
                f"a picture of {picture.width}x{picture.height} needs at least {least:.0f} MB beside itself, and "
                f"--max-memory allows {max_memory / 1e6:.0f} MB"
            )
        return DeblurPlan(rows, columns, side, memory)

    def levels(self, picture: Rows) -> np.ndarray:
        """See `Streamer.levels`."""
        levels = self.cells.levels(picture)
        parts = [self._estimation_part(picture, number) for number in range(picture.batch)]
        return np.concatenate(
            [capped_by_spectrum(levels[number : number + 1], part) for number, part in enumerate(parts)]
        )

    def _estimation_part(self, picture: Rows, number: int) -> np.ndarray:
        """Like `lnca.runtime.deblurring.estimation_part`, band by band."""
        bands = [
            edges(brightness(self._part(picture, number, top, EDGE_BLOCK, 0, picture.width))[0])
            for top in range(0, picture.height // EDGE_BLOCK * EDGE_BLOCK, EDGE_BLOCK)
        ]
        top, left = estimation_corner(np.concatenate(bands), picture.height, picture.width) if bands else (0, 0)
        return self._part(picture, number, top, ESTIMATION_SIDE, left, ESTIMATION_SIDE)

    def blurs(self, picture: Rows, level_BLhw: np.ndarray, kernel: np.ndarray | None = None) -> list[Blur]:
        """See `Streamer.blurs`."""
        maps = np.broadcast_to(level_BLhw, (picture.batch, *level_BLhw.shape[1:]))
        levels = [filter_level(level[None]) for level in maps]
        if kernel is not None:
            return [Blur(kernel, 1.0, level) for level in levels]
        return [
            estimated(self._estimation_part(picture, number), level, self.clean) for number, level in enumerate(levels)
        ]

    def restored(self, picture: Rows, request: Request) -> Any:
        """See `Streamer.restored`."""
        told = request.kernel
        shape = told.kernel.shape if isinstance(told, Blur) else (0,) if told is None else told.shape
        self.plan(picture, request.max_memory, kernel=max(shape))
        return self.restore(picture, request.steps, self._known(picture, request))

    def states(self, picture: Rows, request: Request) -> Iterator[Any]:
        """See `Streamer.states`."""
        return self.frames(
            picture, self.steps if request.steps is None else request.steps, self._known(picture, request)
        )

    def _known(self, picture: Rows, request: Request) -> list[Blur]:
        """The known or estimated blur of each picture."""
        if isinstance(request.kernel, Blur):
            return [request.kernel]
        return self.blurs(picture, request.level(), request.kernel)

    def frames(self, picture: Rows, steps: int, blurs: list[Blur]) -> Iterator[Any]:
        """Yields the picture after 0, 1, ..., `steps` rounds of `steps`."""
        for step in range(steps + 1):
            yield self.restore(picture, steps, blurs, step)

    def restore(self, picture: Rows, steps: int | None, blurs: list[Blur], step: int | None = None) -> Any:
        """The restored picture, as the type of the input.

        Args:
            steps: rounds; the model's own number if None.
            blurs: one blur for each picture, from `blurs`.
            step: stop after this number of rounds; None runs all of them.
        """
        steps = self.steps if steps is None else steps
        step = steps if step is None else step
        side, overlap = window_of(max(max(blur.kernel.shape) for blur in blurs))
        tops, lefts = window_starts(picture.height, side, overlap), window_starts(picture.width, side, overlap)
        room = picture.empty()
        carried = np.zeros((picture.batch, 0, picture.width, 3), np.float32)
        for top in tops:
            bottom = min(top + side, picture.height)
            band = np.zeros((picture.batch, bottom - top, picture.width, 3), np.float32)
            band[:, : carried.shape[1]] = carried
            for left in lefts:
                right = min(left + side, picture.width)
                share = window_share(top, bottom, picture.height, overlap)[:, None] * window_share(
                    left, right, picture.width, overlap
                )
                for number, blur in enumerate(blurs):
                    given = self._part(picture, number, top, side, left, side)
                    made = next(islice(blended_rounds(given, blur, steps, self.clean), step, None))
                    band[number, :, left:right] += share[..., None] * made[0].transpose(1, 2, 0)
                picture.say((tops.index(top) + (lefts.index(left) + 1) / len(lefts)) / len(tops))
            done = bottom if bottom == picture.height else bottom - overlap
            picture.write(room, top, band[:, : done - top])
            carried = band[:, done - top :]
        return picture.finish(room)

    def _part(self, picture: Rows, number: int, top: int, rows: int, left: int, columns: int) -> np.ndarray:
        """A part of one picture, (1, 3, rows, columns), less beyond its border."""
        columns = min(columns, picture.width - left)
        part = picture.read(top, min(top + rows, picture.height), columns, left)
        return np.ascontiguousarray(part[number : number + 1].transpose(0, 3, 1, 2))

    def settle(self, *_: Any, **__: Any) -> NoReturn:
        """Raises `LncaError`."""
        _refuse("steps that end where cells settle are for others")


def window_of(kernel: int) -> tuple[int, int]:
    """The side of a window and the overlap of two windows, for the side of a kernel."""
    factor = max(1, -(-kernel // LARGE))
    return WINDOW if factor == 1 else max(WINDOW, 6 * OVERLAP * factor), OVERLAP * factor


def window_starts(size: int, side: int, overlap: int) -> list[int]:
    """The positions at which windows begin along a side of a picture."""
    return [0] if size <= side else list(range(0, size - overlap, side - overlap))


def window_share(begin: int, end: int, size: int, overlap: int) -> np.ndarray:
    """The weight of a window in each row or column; the weights of all windows sum to 1. It is 0 in the outer quarter
    of an overlap with another window, and then increases."""
    along, all_of_it = np.arange(begin, end, dtype=np.float32), np.ones(end - begin, np.float32)
    ramp = np.float32(overlap // 2)
    up = np.clip((along - np.float32(begin + overlap // 4 - 0.5)) / ramp, 0, 1) if begin else all_of_it
    down = np.clip((np.float32(end - 0.5 - overlap // 4) - along) / ramp, 0, 1) if end < size else all_of_it
    return up * down


def _refuse(why: str) -> NoReturn:
    raise LncaError(f"all cells of this model take every step; {why}")

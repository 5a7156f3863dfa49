"""Restores pictures of any size in bounded memory with an automaton on three lattices, with the same pixels as in one
piece.

The picture is restored from top to bottom. Of every feature map only the rows that are still needed are kept
(`runtime.pyramid`). If even these rows are too wide for the allowed memory, the picture is cut into strips of columns,
which overlap by the receptive field of the automaton. A separate pass estimates the noise levels first, always in the
same bands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ..errors import LncaError
from ..runtime.models import Pyramid
from ..runtime.noise_level import SIDE
from ..runtime.pyramid import reach, spread_rows
from .pictures import Range, Rows
from .streamer import Request, Streamer

COMFORTABLE_BAND = 128
SMALLEST_BAND = 16
# Share of the allowed memory that a plan uses, since an allocator does not return all freed memory at once.
USABLE_MEMORY = 0.8


@dataclass(frozen=True)
class RollingPlan:
    """A plan for restoring a picture.

    Args:
        rows, columns: number of rows and columns of cells of 8x8 pixels.
        band: rows of pixels that are computed at a time.
        strip: columns of cells that are restored at a time.
        memory: peak memory in bytes, beside the picture itself.
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


class PyramidStreamer(Streamer):
    """Restores with an automaton on three lattices.

    Args:
        model: the model for inference.
    """

    steps: int
    takes_noise_level = True

    def __init__(self, model: Pyramid):
        self.model, self.bands, self.steps = model, model.bands, model.steps

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False) -> RollingPlan:
        """The fastest plan for restoring a picture within `max_memory` bytes.

        Raises:
            LncaError: not even the smallest plan fits, or `settle` is true.
        """
        if settle:
            _refuse()
        rows, columns = -(-picture.height // SIDE), -(-picture.width // SIDE)
        row, beside = self.bands.floats(len(self.bands.rules))
        beyond = reach(len(self.bands.rules))
        fixed = picture.bytes + picture.result_bytes + picture.batch * rows * columns * 4 * 60
        fixed += picture.batch * columns * SIDE * 4 * 3 * COMFORTABLE_BAND

        def used(band: int, strip: int) -> int:
            wide = min(strip * SIDE + 2 * beyond + self.bands.aligned * SIDE, columns * SIDE)
            return fixed + picture.batch * wide * 4 * (row * min(band, rows * SIDE) + min(beside, row * rows * SIDE))

        if max_memory is None:
            band = min(COMFORTABLE_BAND, rows * SIDE)
            return RollingPlan(rows, columns, band, columns, used(band, columns))
        budget = USABLE_MEMORY * max_memory
        strip = columns
        while True:
            for band in (COMFORTABLE_BAND, 64, 32, SMALLEST_BAND):
                if used(band, strip) <= budget:
                    return RollingPlan(rows, columns, band, strip, used(band, strip))
            if strip == 1:
                break
            strip = -(-strip // 2)
        least = used(SMALLEST_BAND, 1) / USABLE_MEMORY
        raise LncaError(
            f"a picture of {picture.width}x{picture.height} needs at least {least / 1e6:.0f} MB beside itself, "
            f"and --max-memory allows {max_memory / 1e6:.0f} MB"
        )

    def levels(self, picture: Rows) -> np.ndarray:
        """See `Streamer.levels`."""
        width, height = -(-picture.width // SIDE) * SIDE, -(-picture.height // SIDE) * SIDE
        return self.model.estimator.levels(lambda begin, end: picture.read(begin, end, width), height)

    def restored(self, picture: Rows, request: Request) -> Any:
        """See `Streamer.restored`."""
        plan = self.plan(picture, request.max_memory)
        return self.restore(picture, request.steps, plan, request.level())

    def states(self, picture: Rows, request: Request) -> Iterator[Any]:
        """See `Streamer.states`."""
        plan, level = self.plan(picture), request.level()
        for step in range((self.steps if request.steps is None else request.steps) + 1):
            yield self.restore(picture, step, plan, level)

    def restore(self, picture: Rows, steps: int | None, plan: RollingPlan, level_BLhw: np.ndarray) -> Any:
        """The restored picture, as the type of the input."""
        room = picture.empty()
        for begin, left, restored in self._bands(picture, self._steps(steps), plan, level_BLhw):
            picture.write(room, begin, restored, left=left)
        return picture.finish(room)

    def clean(self, image_BCHW: np.ndarray, level: float, steps: int) -> np.ndarray:
        """Denoises a picture (B, 3, H, W), whose values may lie outside [0, 1], with `steps` steps of the cells at a
        noise level in 255ths."""
        rows = Rows(list(image_BCHW.transpose(0, 2, 3, 1)), values=Range(open=True))
        plan = self.plan(rows)
        levels = np.full((1, 2, plan.rows, plan.columns), level, np.float32)
        return np.stack(self.restore(rows, steps, plan, levels)).transpose(0, 3, 1, 2)

    def bytes_of(self, height: int, width: int) -> int:
        """Bytes that `clean` uses for a picture of this size."""
        return self.plan(Rows(np.broadcast_to(np.zeros(3, np.float32), (height, width, 3)))).memory

    def _steps(self, steps: int | None) -> int:
        """The number of steps that change something."""
        return min(self.model.steps if steps is None else steps, len(self.bands.rules))

    def _bands(
        self, picture: Rows, steps: int, plan: RollingPlan, level_BLhw: np.ndarray
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yields bands of restored rows, each with the numbers of its first row and column."""
        beyond, aligned = reach(steps), self.bands.aligned * SIDE
        width, height = plan.columns * SIDE, plan.rows * SIDE
        level = spread_rows(np.broadcast_to(level_BLhw, (picture.batch, 2, plan.rows, plan.columns)))
        for left in range(0, width, plan.strip * SIDE):
            right = min(left + plan.strip * SIDE, width)
            first, last = max(left - beyond, 0) // aligned * aligned, min(right + beyond, width)

            def image(begin: int, end: int, first: int = first, last: int = last) -> np.ndarray:
                return picture.read(begin, end, last - first, first)

            def levels(begin: int, end: int, first: int = first, last: int = last) -> np.ndarray:
                return np.ascontiguousarray(level(begin, end)[:, :, first // 2 : last // 2])

            rows = self.bands(image, levels, height, steps)
            for begin in range(0, height, plan.band):
                restored = rows(begin, min(begin + plan.band, height))
                yield begin, left, restored[:, :, left - first : right - first]

    def settle(self, *_: Any, **__: Any) -> NoReturn:
        """Raises `LncaError`: each step has its own rule, so no cell settles before the last step."""
        _refuse()


def _refuse() -> NoReturn:
    raise LncaError("this model's cells all take every step; --steps auto is for models whose cells settle")

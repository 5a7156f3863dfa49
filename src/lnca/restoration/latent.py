"""Restores pictures of any size in bounded memory, with the same pixels as in one piece.

Encoder and decoder work on bands of lines: rows, or columns if a picture is wide and low. The lattice of cells (16
bytes a pixel) stays in memory or, if it does not fit, in a file. Blocks of lines are read from the file, with a border
of one line for each step that they run. The arithmetic of a value is the same wherever a band or block begins, so the
result does not depend on the plan, to the bit.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..errors import LncaError
from ..runtime import threads
from ..runtime.arrays import RowReader
from ..runtime.models import Latent
from ..runtime.native import Precision
from ..runtime.settling import Settling, along
from .bands import (
    BLOCK_STEPS,
    COMFORTABLE_BAND,
    USABLE_MEMORY,
    DoesNotFit,
    Plan,
    margin_of,
)
from .lattice import Lattice, opened_lattice
from .pictures import Rows
from .streamer import Request, Streamer

# Default tolerances of settling, by precision; rounding in bfloat16 keeps cells changing.
SETTLED: dict[Precision, float] = {"float32": 0.01, "bfloat16": 0.03}


class LatentStreamer(Streamer):
    """Restores with a latent model, band by band.

    Args:
        model: the model for inference.
    """

    steps: int

    def __init__(self, model: Latent):
        self.model, self.coder, self.run, self.steps = model, model.coder, model.run, model.steps
        self.precision, self.side = model.run.precision, model.coder.multiple

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False) -> Plan:
        """The fastest plan for restoring a picture within `max_memory` bytes, or for settling it (`settle`).

        Raises:
            LncaError: not even the smallest plan fits.
        """
        if max_memory is None:
            return self.planned(picture, None, settle)
        plans, least = [], []
        for across in (False, True):
            try:
                plans.append(self.planned(picture, max_memory, settle, across))
            except DoesNotFit as error:
                least.append(error.least)
        if not plans:
            raise LncaError(
                f"a picture of {picture.width}x{picture.height} needs at least {min(least) / 1e6:.0f} MB beside "
                f"itself, and --max-memory allows {max_memory / 1e6:.0f} MB"
            )
        return min(plans, key=self._effort)

    def _effort(self, plan: Plan) -> tuple[bool, float]:
        """The cost that orders plans: whether the cells lie in a file, and how often a line is encoded or decoded."""
        beyond = min(self.coder.border, plan.lines - plan.band)
        return plan.block is not None, (plan.band + beyond) / plan.band

    def planned(self, picture: Rows, max_memory: int | None, settle: bool = False, across: bool = False) -> Plan:
        """Like `plan`, by rows or by columns only.

        Raises:
            DoesNotFit: not even the smallest plan fits.
        """
        coder, channels = self.coder, self.model.rule.channels
        rows, columns = self.lattice_of(picture)
        lines, length = (columns, rows) if across else (rows, columns)
        pixel_line = picture.batch * length * coder.multiple * 4
        cell_line = picture.batch * length * channels * 4
        # Bytes of a line of cells in the bands.
        band_line = pixel_line * coder.multiple * coder.floats
        fixed = picture.bytes + picture.result_bytes
        fixed += Settling.bytes(picture.batch * rows * columns) if settle else 0
        whole = rows * columns * picture.batch * channels * 4
        # Rows of cells that the steps keep; they are as wide as the block.
        kept = (8 + 12 * threads.count()) * picture.batch * channels * 4
        if across:
            # A band of columns is computed with margins at its sides.
            beyond = 2 * margin_of(self.coder)
            fixed += beyond * band_line
        else:
            fixed += pixel_line * coder.halo + kept * columns
        # A band that is shorter than its margins would mostly compute values for its neighbours.
        comfortable = max(COMFORTABLE_BAND / band_line, coder.border)

        def made(band: float, block: int | None, steps: int, used: int) -> Plan:
            count = max(1, min(lines, int(band)))
            file = 0 if block is None else whole
            return Plan(rows, columns, count, block, steps, used + count * band_line, file, across)

        in_memory = fixed + whole + (kept * columns if across else 0)
        if max_memory is None:
            return made(comfortable, None, 0, in_memory)
        budget = int(USABLE_MEMORY * max_memory)
        if budget >= in_memory + band_line:
            return made(min((budget - in_memory) / band_line, comfortable), None, 0, in_memory)
        # A block with its borders, twice while it is assembled, and the lines that are kept for the next block.
        block_line = 2 * cell_line + (kept if across else 0)
        # A band of columns should be wide, since its margins are computed with it.
        bands = max(band_line, (budget - fixed) / 2 if across else 0)
        for steps in (BLOCK_STEPS, 4, 2, 1):
            border = 3 * (steps + settle)
            block = min(lines, int((budget - fixed - bands) / block_line) - border)
            if block >= steps:
                used = fixed + (block + border) * block_line
                return made(min((budget - used) / band_line, comfortable), block, steps, used)
        raise DoesNotFit((fixed + band_line + 4 * block_line) / USABLE_MEMORY)

    def restored(self, picture: Rows, request: Request) -> Any:
        """See `Streamer.restored`."""
        return self.restore(picture, request.steps, self.plan(picture, request.max_memory))

    def states(self, picture: Rows, request: Request) -> Iterator[Any]:
        """See `Streamer.states`."""
        return self.frames(picture, self.steps if request.steps is None else request.steps)

    def restore(self, picture: Rows, steps: int | None = None, plan: Plan | None = None, seed: int = 0) -> Any:
        """The restored picture, as the type of the input.

        Raises:
            LncaError: there is no room for the file.
        """
        return self._restore(picture, steps, plan or self.plan(picture), seed, None)

    def settle(
        self,
        picture: Rows,
        tolerance: float | None,
        steps: int | None = None,
        max_memory: int | None = None,
        plan: Plan | None = None,
        seed: int = 0,
    ) -> tuple[Any, np.ndarray]:
        """See `Streamer.settle`."""
        tolerance = SETTLED[self.precision] if tolerance is None else tolerance
        if not tolerance >= 0:
            raise LncaError(f"the tolerance must be 0 or more, got {tolerance:g}")
        plan = plan or self.plan(picture, max_memory, settle=True)
        settling = Settling(picture.batch, plan.rows, plan.columns, tolerance)
        return self._restore(picture, steps, plan, seed, settling), settling.steps

    def _restore(self, picture: Rows, steps: int | None, plan: Plan, seed: int, settling: Settling | None) -> Any:
        steps = self.model.steps if steps is None else steps
        with self._lattice(picture, plan) as cells:
            self._encode_all(picture, cells, plan)
            if plan.block is None:
                self.run.advance(cells.cells, steps, seed, settling=settling)
            else:
                self._run_blocks(cells, steps, seed, plan.block, plan.steps, settling)
            return self._decode_all(picture, cells, plan)

    def frames(self, picture: Rows, steps: int, seed: int = 0) -> Iterator[Any]:
        """Yields the decoded picture after 0, 1, ..., `steps` steps."""
        plan = self.plan(picture)
        with self._lattice(picture, plan) as cells:
            self._encode_all(picture, cells, plan)
            yield self._decode_all(picture, cells, plan)
            for step in range(steps):
                self.run.advance(cells.cells, 1, seed, step)
                yield self._decode_all(picture, cells, plan)

    def _lattice(self, picture: Rows, plan: Plan) -> AbstractContextManager[Lattice]:
        shape = (picture.batch, plan.rows, plan.columns, self.model.rule.channels)
        return opened_lattice(shape, plan.across, plan.file)

    def lattice_of(self, picture: Rows) -> tuple[int, int]:
        """Rows and columns of a picture's lattice."""
        multiple = self.coder.multiple
        return -(-picture.height // multiple), -(-picture.width // multiple)

    def _source(self, picture: Rows) -> RowReader:
        width = self.lattice_of(picture)[1] * self.coder.multiple
        return lambda begin, end: picture.read(begin, end, width)

    def _encode(self, picture: Rows, begin: int, end: int, band: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yields new cells of rows [begin, end) of the lattice, in bands, each with the number of its first row."""
        source, height = self._source(picture), self.lattice_of(picture)[0] * self.coder.multiple
        for first in range(begin, end, band):
            latent = self.coder.encode(source, height, first, min(first + band, end))
            yield first, self.model.rule.seed(latent)

    def _decode(self, picture: Rows, latent: RowReader, begin: int, end: int, band: int) -> np.ndarray:
        """Decodes the cells' output to restored pixels of rows [begin, end) of the lattice, in an array like
        `Rows.empty`."""
        multiple = self.coder.multiple
        source, height = self._source(picture), self.lattice_of(picture)[0] * multiple
        top = begin * multiple
        room = picture.empty(max(min(end * multiple, picture.height) - top, 0))
        for first in range(begin, end, band):
            above, below = first * multiple, min(first + band, end) * multiple
            picture.write(room, above, self.coder.decode(source, latent, height, above, below), top)
        return room

    def _encode_all(self, picture: Rows, cells: Lattice, plan: Plan) -> None:
        encode = self._encode_across if plan.across else self._encode
        for begin, fresh in encode(picture, 0, cells.lines, plan.band):
            cells.write(begin, fresh)

    def _decode_all(self, picture: Rows, cells: Lattice, plan: Plan) -> Any:
        def latent(begin: int, end: int) -> np.ndarray:
            return np.ascontiguousarray(self.model.rule.read(cells.read(begin, end)))

        decode = self._decode_across if plan.across else self._decode
        return picture.finish(decode(picture, latent, 0, cells.lines, plan.band))

    def _side_by_side(self, picture: Rows, first: int, last: int) -> tuple[RowReader, int, int, int]:
        """For columns [first, last) of cells: the pixels of a window with these columns and their margins, the first
        column of the window, the first one after it, and its rows of cells."""
        rows, columns = self.lattice_of(picture)
        multiple, margin = self.coder.multiple, margin_of(self.coder)
        left = max(first - margin, 0) // self.coder.aligned * self.coder.aligned
        right = min(last + margin, columns)

        def pixels(begin: int, end: int) -> np.ndarray:
            return picture.read(begin, end, (right - left) * multiple, left * multiple)

        return pixels, left, right, rows

    def _encode_across(self, picture: Rows, begin: int, end: int, band: int) -> Iterator[tuple[int, np.ndarray]]:
        """Like `_encode`, for columns [begin, end)."""
        for first in range(begin, end, band):
            last = min(first + band, end)
            pixels, left, _, rows = self._side_by_side(picture, first, last)
            latent = self.coder.encode(pixels, rows * self.coder.multiple, 0, rows)
            yield first, self.model.rule.seed(latent[:, :, first - left : last - left])

    def _decode_across(self, picture: Rows, latent: RowReader, begin: int, end: int, band: int) -> np.ndarray:
        """Like `_decode`, for columns [begin, end), which are all columns."""
        room, multiple = picture.empty(), self.coder.multiple
        for first in range(begin, end, band):
            last = min(first + band, end)
            pixels, left, right, rows = self._side_by_side(picture, first, last)
            values = self.coder.decode(pixels, _rows_of(latent(left, right)), rows * multiple, 0, rows * multiple)
            inner = values[:, :, (first - left) * multiple : (last - left) * multiple]
            picture.write(room, 0, inner, 0, first * multiple)
        return room

    def _run_blocks(
        self, cells: Lattice, steps: int, seed: int, block: int, stride: int, settling: Settling | None
    ) -> None:
        """Runs `stride` steps at a time on blocks of lines with borders of `stride` lines, and keeps the inner
        lines."""
        lines, axis = cells.lines, cells.axis
        for first in range(0, steps, stride):
            count = min(stride, steps - first)
            # Whether a cell is updated depends on its neighbours' previous step, and so on one more line.
            border = count + (settling is not None)
            above = cells.read(0, 0)
            # The lines before these steps: the next block's borders must start from the same values as this block.
            before = settling and settling.part(0, lines, axis)
            for begin in range(0, lines, block):
                end = min(begin + block, lines)
                part = np.concatenate([above, cells.read(begin, min(end + border, lines))], axis)
                part = np.ascontiguousarray(part)
                top = above.shape[axis]
                low = max(0, top + end - begin - border)
                above = along(part, axis, low, top + end - begin).copy()
                marks = before and before.part(begin - top, begin - top + part.shape[axis], axis)
                corner = (begin - top, 0) if axis == 1 else (0, begin - top)
                self.run.advance(part, count, seed, first, corner, marks)
                cells.write(begin, along(part, axis, top, top + end - begin))
                if settling and marks:
                    settling.put(begin, marks, top, top + end - begin, axis)


def _rows_of(cells: np.ndarray) -> RowReader:
    return lambda begin, end: np.ascontiguousarray(cells[:, begin:end])

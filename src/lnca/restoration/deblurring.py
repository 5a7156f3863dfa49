"""Deblurring of pictures of any size in bounded memory: the kernel is found in one part of a picture, then the picture
is restored window by window.

Windows of a fixed size overlap, and what they make is mixed where they do, so that no seams show. Which windows there
are depends on the picture's size and the kernel's alone, so that any plan gives the same bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from ..errors import LncaError
from ..kernels.cpu import Precision
from ..nn.deblurring import (
    LOOK,
    SQUARE,
    Blur,
    Deblurrer,
    brightness,
    edges,
    estimated,
    level_of,
    quieted,
    trusted_rounds,
    where_to_look,
)
from .pictures import Range, Rows
from .rolling import SHARE, RollingStreamer, levels_of

# Rows and columns of a window, and those that two share; more for kernels that are larger than an eighth of a window.
WINDOW, OVERLAP = 768, 128
# Floats of each pixel of a window that are in use at a time, beside those of the cells.
FLOATS = 48
# Those of the cells where they run by plain modules.
PLAIN_FLOATS = 160


@dataclass(frozen=True)
class DeblurPlan:
    """How a picture is restored.

    Args:
        rows, columns: of windows.
        side: rows and columns of pixels of a window.
        memory: the most bytes used at a time, beside the picture itself.
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


class DeblurStreamer:
    """Restores with a `Deblurrer`.

    Args:
        model: in evaluation mode.
        device: where it is.
        fused: whether the cells run by the fused kernels.
        precision: of these.
    """

    def __init__(self, model: Deblurrer, device: torch.device, fused: bool, precision: Precision = "float32"):
        self.model, self.device = model, device
        self.cells = RollingStreamer(model.cells, precision) if fused else None

    @torch.no_grad()
    def clean(self, image_BCHW: Tensor, level: float) -> Tensor:
        """`Deblurrer.clean`, by the fused kernels where there are any."""
        if self.cells is None:
            return self.model.clean(image_BCHW, level)
        rows = Rows(image_BCHW, values=Range(open=True))
        plan = self.cells.plan(rows)
        return self.cells.restore(rows, None, plan, image_BCHW.new_full((1, 2, plan.rows, plan.columns), level))

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False, kernel: int = 0) -> DeblurPlan:
        """How a picture is restored in `max_memory` bytes.

        Args:
            kernel: the longest side of a kernel that is told.

        Raises:
            LncaError: it does not fit; or `settle`.
        """
        if settle:
            _refuse("steps that end where cells settle are for others")
        side, overlap = _window(kernel)
        rows, columns = (len(_starts(size, side, overlap)) for size in (picture.height, picture.width))
        high, wide = (min(side, size) + 2 * max(kernel, 64) for size in (picture.height, picture.width))
        per_pixel = FLOATS
        if self.cells is None:
            per_pixel += PLAIN_FLOATS
        window = high * wide * 4 * per_pixel
        if self.cells is not None:
            window += self.cells.plan(Rows(torch.zeros(1, 3, 1, 1).expand(1, 3, high, wide))).memory
        band = picture.batch * min(side, picture.height) * picture.width * 3 * 4 * 2
        memory = picture.bytes + picture.result_bytes + window + band
        if max_memory is not None and memory > SHARE * max_memory:
            raise LncaError(
                f"a picture of {picture.width}x{picture.height} needs at least {memory / SHARE / 1e6:.0f} MB beside "
                f"itself, and --max-memory allows {max_memory / 1e6:.0f} MB"
            )
        return DeblurPlan(rows, columns, side, memory)

    def levels(self, picture: Rows) -> Tensor:
        """The noise levels that the picture itself tells, (B, 2, H / 8, W / 8) in 255ths."""
        levels = levels_of(picture, self.model.cells.estimator, self.device)
        parts = [self._part_to_look_at(picture, number) for number in range(picture.batch)]
        return torch.cat([quieted(level, part) for level, part in zip(levels.split(1), parts, strict=True)])

    def _part_to_look_at(self, picture: Rows, number: int) -> Tensor:
        """As `nn.deblurring.part_to_look_at`, band by band."""
        bands = [
            edges(brightness(self._part(picture, number, top, SQUARE, 0, picture.width))[0])
            for top in range(0, picture.height // SQUARE * SQUARE, SQUARE)
        ]
        top, left = where_to_look(torch.cat(bands), picture.height, picture.width) if bands else (0, 0)
        return self._part(picture, number, top, LOOK, left, LOOK)

    @torch.no_grad()
    def blurs(self, picture: Rows, level_BLhw: Tensor, kernel: Tensor | None = None) -> list[Blur]:
        """What is known of each picture: the kernel (K, L) that is told, or else its own estimate."""
        levels = map(level_of, level_BLhw.expand(picture.batch, -1, -1, -1).split(1))
        if kernel is not None:
            return [Blur(kernel.to(self.device), 1.0, level) for level in levels]
        return [
            estimated(self._part_to_look_at(picture, number), level, self.clean) for number, level in enumerate(levels)
        ]

    def frames(self, picture: Rows, steps: int, blurs: list[Blur]) -> Iterator[Any]:
        """Yields the picture after 0, 1, ..., `steps` rounds of `steps`."""
        for step in range(steps + 1):
            yield self.restore(picture, steps, blurs, step)

    @torch.no_grad()
    def restore(self, picture: Rows, steps: int | None, blurs: list[Blur], step: int | None = None) -> Any:
        """The picture restored, as the kind it came in.

        Args:
            steps: rounds; the model's own number when None.
            blurs: as of `blurs`, one for each picture.
            step: the rounds after which it ends; all of them when None.
        """
        steps = self.model.steps if steps is None else steps
        step = steps if step is None else step
        side, overlap = _window(max(max(blur.kernel.shape) for blur in blurs))
        tops, lefts = _starts(picture.height, side, overlap), _starts(picture.width, side, overlap)
        room = picture.empty()
        carried = torch.zeros(picture.batch, 0, picture.width, 3)
        for top in tops:
            bottom = min(top + side, picture.height)
            band = torch.zeros(picture.batch, bottom - top, picture.width, 3)
            band[:, : carried.shape[1]] = carried
            for left in lefts:
                right = min(left + side, picture.width)
                share = _share(top, bottom, picture.height, overlap)[:, None] * _share(
                    left, right, picture.width, overlap
                )
                for number, blur in enumerate(blurs):
                    given = self._part(picture, number, top, side, left, side)
                    made = next(islice(trusted_rounds(given, blur, steps, self.clean), step, None))
                    band[number, :, left:right] += share[..., None] * made[0].permute(1, 2, 0).cpu()
                picture.say((tops.index(top) + (lefts.index(left) + 1) / len(lefts)) / len(tops))
            done = bottom if bottom == picture.height else bottom - overlap
            picture.write(room, top, band[:, : done - top])
            carried = band[:, done - top :]
        return picture.finish(room)

    def _part(self, picture: Rows, number: int, top: int, rows: int, left: int, columns: int) -> Tensor:
        """A part of one picture as far as it goes, (1, 3, rows, columns) on the device."""
        columns = min(columns, picture.width - left)
        part = picture.read(top, min(top + rows, picture.height), columns, left)
        return part[number : number + 1].permute(0, 3, 1, 2).contiguous().to(self.device)

    def settle(self, picture: Rows, tolerance: float, steps: int | None, plan: Any) -> tuple[Any, np.ndarray]:
        """Raises `LncaError`."""
        _refuse("steps that end where cells settle are for others")


def _window(kernel: int) -> tuple[int, int]:
    """The side of a window, and the overlap of two, for a kernel's side."""
    factor = max(1, -(-kernel * 8 // WINDOW))
    return WINDOW * factor, OVERLAP * factor


def _starts(size: int, side: int, overlap: int) -> list[int]:
    """Where windows begin along a side of a picture."""
    return [0] if size <= side else list(range(0, size - overlap, side - overlap))


def _share(begin: int, end: int, size: int, overlap: int) -> Tensor:
    """How much a window counts in each row or column, so that all windows together count once: nothing in the outer
    quarters of what it shares with another, then more and more."""
    along = torch.arange(begin, end)
    ramp = overlap // 2
    up = ((along - begin - overlap // 4 + 0.5) / ramp).clamp(0, 1) if begin else torch.ones(end - begin)
    down = ((end - 0.5 - overlap // 4 - along) / ramp).clamp(0, 1) if end < size else torch.ones(end - begin)
    return up * down


def _refuse(why: str) -> NoReturn:
    raise LncaError(f"all cells of this model take every step; {why}")

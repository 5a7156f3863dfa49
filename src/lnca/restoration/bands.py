"""Plans that cut a picture into bands and blocks."""

from dataclasses import dataclass

from ..errors import LncaError
from ..runtime.coders import BandCoder

COMFORTABLE_BAND = 64e6
BLOCK_STEPS = 8
# Share of the allowed memory that a plan uses, since an allocator does not return all freed memory at once.
USABLE_MEMORY = 0.84


@dataclass(frozen=True)
class Plan:
    """A plan for restoring a picture.

    Args:
        rows, columns: size of the lattice of cells.
        band: lines of cells that are encoded or decoded at a time.
        block: lines of cells that run at a time if the lattice lies in a file; None keeps it in memory.
        steps: steps of a block before the next one.
        memory: peak memory in bytes, beside the picture itself.
        file: size of the file in bytes.
        across: whether lines are columns instead of rows.
    """

    rows: int
    columns: int
    band: int
    block: int | None
    steps: int
    memory: int
    file: int
    across: bool = False

    @property
    def lines(self) -> int:
        return self.columns if self.across else self.rows

    def __str__(self) -> str:
        where, lines = "cells in memory", "columns" if self.across else "rows"
        if self.block is not None:
            where = f"cells in a file of {self.file / 1e6:.0f} MB, {self.steps} steps on {self.block} {lines} at a time"
        return (
            f"{self.columns}x{self.rows} cells, encoded and decoded in bands of {self.band} {lines}; {where}; "
            f"{self.memory / 1e6:.0f} MB beside the picture"
        )


class DoesNotFit(LncaError):
    """A picture does not fit into the allowed memory.

    Args:
        least: bytes that it needs at least.
    """

    def __init__(self, least: float):
        super().__init__(f"at least {least / 1e6:.0f} MB are needed; allow more with --max-memory")
        self.least = least


def margin_of(coder: BandCoder) -> int:
    """Columns of cells on either side of a band of columns that are computed with it."""
    return -(-coder.reach // coder.aligned) * coder.aligned

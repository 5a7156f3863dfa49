"""Pictures of any size in bounded memory, with the same pixels as in one piece.

Encoder and decoder work on bands of rows. The lattice of cells (16 bytes a pixel) stays in memory or, when it does not
fit, in a file, from which blocks of rows are read with a border of as many rows as steps are then run on them. Every
value is computed by the same arithmetic wherever a band or block begins, so the result does not depend on the plan, to
the bit.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import LncaError
from ..kernels.autoencoder import FusedAutoencoder, Source
from ..kernels.cpu import FusedRun
from ..kernels.folding import versions
from ..kernels.residual import FusedResidualCoder
from ..kernels.settling import Settling
from ..nn.autoencoder import Autoencoder
from ..nn.latent import LatentAutomaton
from ..nn.residual import ResidualCoder
from .pictures import Rows
from .windows import ModuleRun, WindowedCoder

COMFORTABLE_BAND = 64e6
BLOCK_STEPS = 8
# Of the memory that is allowed: the rest is for what an allocator does not give back at once.
SHARE = 0.84


@dataclass(frozen=True)
class Plan:
    """How a picture is restored.

    Args:
        rows, columns: of the lattice of cells.
        band: rows of cells that are encoded or decoded at a time.
        block: rows of cells that are run at a time when the lattice lies in a file; None keeps it in memory.
        steps: steps run on a block before the next one.
        memory: the most bytes used at a time, beside the picture itself.
        file: bytes of the file.
    """

    rows: int
    columns: int
    band: int
    block: int | None
    steps: int
    memory: int
    file: int

    def __str__(self) -> str:
        where = "cells in memory"
        if self.block is not None:
            where = f"cells in a file of {self.file / 1e6:.0f} MB, {self.steps} steps on {self.block} rows at a time"
        return (
            f"{self.columns}x{self.rows} cells, encoded and decoded in bands of {self.band} rows; {where}; "
            f"{self.memory / 1e6:.0f} MB beside the picture"
        )


class BandCoder(Protocol):
    """Encoder and decoder in bands; see `FusedAutoencoder`."""

    multiple: int
    border: int
    floats: int
    halo: int

    def encode(self, image: Source, height: int, begin: int, end: int) -> Tensor: ...

    def decode(self, image: Source, latent: Source, height: int, begin: int, end: int) -> Tensor: ...


class Lattice:
    """Rows of cells (B, rows, columns, channels), float32, in memory."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.cells = torch.empty(shape)

    def read(self, begin: int, end: int) -> Tensor:
        """Rows [begin, end)."""
        return self.cells[:, begin:end]

    def write(self, begin: int, cells: Tensor) -> None:
        """Puts rows from row `begin` on."""
        self.cells[:, begin : begin + cells.shape[1]] = cells


class FileLattice(Lattice):
    """The same in a file, read and written (not mapped: pages of a mapped file count as memory of the process)."""

    def __init__(self, shape: tuple[int, ...], file: BinaryIO):
        self.shape, self.file = shape, file

    def _seek(self, picture: int, row: int) -> None:
        _, rows, columns, channels = self.shape
        self.file.seek((picture * rows + row) * columns * channels * 4)

    def read(self, begin: int, end: int) -> Tensor:
        result = torch.empty(self.shape[0], end - begin, *self.shape[2:])
        for picture, rows in enumerate(result.numpy()):
            self._seek(picture, begin)
            self.file.readinto(rows.data)  # type: ignore[attr-defined]
        return result

    def write(self, begin: int, cells: Tensor) -> None:
        for picture, rows in enumerate(cells.contiguous().numpy()):
            self._seek(picture, begin)
            self.file.write(rows.data)


class Streamer:
    """Restores with a latent model, band by band.

    Args:
        model: in evaluation mode; on the CPU where its steps are fused.
        run: the steps of its automaton, fused or its own; the coder is then fused or its own too.

    Raises:
        LncaError: an autoencoder the kernels have no room for.
    """

    def __init__(self, model: LatentAutomaton, run: FusedRun | ModuleRun):
        self.model, self.run = model, run
        self._fold()

    def _fold(self) -> None:
        """Copies the autoencoder's weights as they are now."""
        self._versions = self._weights()
        coder = self.model.autoencoder
        self.autoencoder: BandCoder
        if isinstance(self.run, ModuleRun):
            self.autoencoder = WindowedCoder(coder)
        elif isinstance(coder, ResidualCoder):
            self.autoencoder = FusedResidualCoder(coder, self.run.level, self.run.precision)
        elif isinstance(coder, Autoencoder):
            self.autoencoder = FusedAutoencoder(coder, self.run.level)
        else:
            raise LncaError(f"there is no fused kernel for a {type(coder).__name__}")

    def _weights(self) -> list[tuple[int, int]]:
        """Changes when a weight does."""
        return versions(self.model.autoencoder.state_dict(keep_vars=True).values())

    def plan(self, picture: Rows, max_memory: int | None = None, settle: bool = False) -> Plan:
        """The quickest way to restore a picture within `max_memory` bytes, or to `settle` it.

        Raises:
            LncaError: not even the smallest plan fits.
        """
        multiple, channels = self.autoencoder.multiple, self.model.automaton.channels
        rows, columns = self.lattice_of(picture)
        cell_row = picture.batch * columns * channels * 4
        # A row of cells in the bands.
        band_row = picture.batch * columns * multiple**2 * 4 * self.autoencoder.floats
        threads = torch.get_num_threads()
        fixed = picture.bytes + picture.result_bytes + (8 + 12 * threads) * cell_row
        fixed += picture.batch * columns * multiple * 4 * self.autoencoder.halo
        # A band that is shorter than what it reaches beyond itself would mostly be computed for its neighbours.
        comfortable = max(COMFORTABLE_BAND / band_row, self.autoencoder.border)
        fixed += Settling.bytes(picture.batch * rows * columns) if settle else 0
        whole = rows * cell_row

        def made(band: float, block: int | None, steps: int, used: int) -> Plan:
            count = max(1, min(rows, int(band)))
            file = 0 if block is None else whole
            return Plan(rows, columns, count, block, steps, used + count * band_row, file)

        if max_memory is None:
            return made(comfortable, None, 0, fixed + whole)
        budget = SHARE * max_memory
        left = budget - fixed
        if left >= whole + band_row:
            return made(min((left - whole) / band_row, comfortable), None, 0, fixed + whole)
        for steps in (BLOCK_STEPS, 4, 2, 1):
            # A block with its borders, twice while it is put together, and the rows kept for the next one.
            block = min(rows, int((left - band_row) / cell_row / 2) - 3 * (steps + settle))
            if block >= steps:
                used = fixed + 2 * (block + 3 * (steps + settle)) * cell_row
                return made(min((budget - used) / band_row, comfortable), block, steps, used)
        least = (fixed + band_row + 8 * cell_row) / SHARE
        raise LncaError(
            f"a picture of {picture.width}x{picture.height} needs at least {least / 1e6:.0f} MB beside itself, "
            f"and --max-memory allows {max_memory / 1e6:.0f} MB"
        )

    def restore(self, picture: Rows, steps: int | None = None, plan: Plan | None = None, seed: int = 0) -> Any:
        """The picture restored, as the kind it came in.

        Raises:
            LncaError: no room for the file.
        """
        return self._restore(picture, steps, plan or self.plan(picture), seed, None)

    def settle(
        self, picture: Rows, tolerance: float, steps: int | None = None, plan: Plan | None = None, seed: int = 0
    ) -> tuple[Any, np.ndarray]:
        """The picture restored without the steps of settled cells, and the steps of each, int32 (B, rows, columns).

        Args:
            tolerance: see `Settling`.
            steps: at most so many; the model's own number when None.
        """
        plan = plan or self.plan(picture, settle=True)
        settling = Settling(picture.batch, plan.rows, plan.columns, tolerance)
        return self._restore(picture, steps, plan, seed, settling), settling.steps.numpy()

    def _restore(self, picture: Rows, steps: int | None, plan: Plan, seed: int, settling: Settling | None) -> Any:
        steps = self.model.steps if steps is None else steps
        with self._lattice(picture, plan) as cells:
            self._encode_all(picture, cells, plan.band)
            if plan.block is None:
                self.run.advance(cells.cells, steps, seed, settling=settling)
            else:
                self._run_blocks(cells, steps, seed, plan.block, plan.steps, settling)
            return self._decode_all(picture, cells, plan.band)

    def frames(self, picture: Rows, steps: int, seed: int = 0) -> Iterator[Any]:
        """Yields the picture as it is decoded after 0, 1, ..., `steps` steps."""
        plan = self.plan(picture)
        with self._lattice(picture, plan) as cells:
            self._encode_all(picture, cells, plan.band)
            yield self._decode_all(picture, cells, plan.band)
            for step in range(steps):
                self.run.advance(cells.cells, 1, seed, step)
                yield self._decode_all(picture, cells, plan.band)

    @contextmanager
    def _lattice(self, picture: Rows, plan: Plan) -> Iterator[Lattice]:
        shape = (picture.batch, plan.rows, plan.columns, self.model.automaton.channels)
        if plan.block is None:
            yield Lattice(shape)
            return
        try:
            with tempfile.TemporaryFile(prefix="lnca-cells-") as file:
                _reserve(file.fileno(), plan.file)
                yield FileLattice(shape, file)
        except OSError as error:
            folder, size = tempfile.gettempdir(), plan.file / 1e6
            raise LncaError(f"no room for {size:.0f} MB of cells in {folder}; set TMPDIR to another folder") from error

    def lattice_of(self, picture: Rows) -> tuple[int, int]:
        """Rows and columns of a picture's lattice."""
        multiple = self.autoencoder.multiple
        return -(-picture.height // multiple), -(-picture.width // multiple)

    def _source(self, picture: Rows) -> Source:
        width = self.lattice_of(picture)[1] * self.autoencoder.multiple
        return lambda begin, end: picture.read(begin, end, width)

    def _encode(self, picture: Rows, begin: int, end: int, band: int) -> Iterator[tuple[int, Tensor]]:
        """Yields fresh cells of rows [begin, end) of the lattice, in bands, each with the number of its first row."""
        if self._weights() != self._versions:
            self._fold()
        source, height = self._source(picture), self.lattice_of(picture)[0] * self.autoencoder.multiple
        for first in range(begin, end, band):
            latent = self.autoencoder.encode(source, height, first, min(first + band, end))
            yield first, self.model.automaton.seed(latent)

    def _decode(self, picture: Rows, latent: Source, begin: int, end: int, band: int) -> Tensor:
        """Restored pixels of rows [begin, end) of the lattice, as `Rows.empty` has them, from the cells' output."""
        multiple = self.autoencoder.multiple
        source, height = self._source(picture), self.lattice_of(picture)[0] * multiple
        top = begin * multiple
        room = picture.empty(max(min(end * multiple, picture.height) - top, 0))
        for first in range(begin, end, band):
            above, below = first * multiple, min(first + band, end) * multiple
            picture.write(room, above, self.autoencoder.decode(source, latent, height, above, below), top)
        return room

    def _encode_all(self, picture: Rows, cells: Lattice, band: int) -> None:
        for begin, fresh in self._encode(picture, 0, cells.shape[1], band):
            cells.write(begin, fresh)

    def _decode_all(self, picture: Rows, cells: Lattice, band: int) -> Any:
        def latent(begin: int, end: int) -> Tensor:
            return self.model.automaton.read(cells.read(begin, end)).contiguous()

        return picture.finish(self._decode(picture, latent, 0, cells.shape[1], band))

    def _run_blocks(
        self, cells: Lattice, steps: int, seed: int, block: int, stride: int, settling: Settling | None
    ) -> None:
        """Runs `stride` steps at a time on blocks of rows with borders of so many rows, and keeps the inner ones."""
        rows = cells.shape[1]
        for first in range(0, steps, stride):
            count = min(stride, steps - first)
            # Whether a cell takes part depends on the step before of neighbours, and so on one row more.
            border = count + (settling is not None)
            above = torch.empty(cells.shape[0], 0, *cells.shape[2:])
            # As they were before these steps: a block's borders have to start where its neighbours did.
            before = settling and settling.part(0, rows)
            for begin in range(0, rows, block):
                end = min(begin + block, rows)
                part = torch.cat([above, cells.read(begin, min(end + border, rows))], 1)
                top = above.shape[1]
                above = part[:, max(0, top + end - begin - border) : top + end - begin].clone()
                marks = before and before.part(begin - top, begin - top + part.shape[1])
                self.run.advance(part, count, seed, first, (begin - top, 0), marks)
                cells.write(begin, part[:, top : top + end - begin])
                if settling and marks:
                    settling.put(begin, marks, top, top + end - begin)


def _reserve(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:
        os.ftruncate(handle, size)

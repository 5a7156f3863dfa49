"""Storage of a picture's cells while it is restored: in memory or in a file, by rows or by columns."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from ..errors import LncaError
from ..runtime.arrays import empty
from ..runtime.settling import along


class Lattice:
    """Cells (B, rows, columns, channels), float32, in memory; its lines are its rows, or its columns.

    Args:
        shape: shape of the cells.
        across: whether lines are columns.
    """

    def __init__(self, shape: tuple[int, ...], across: bool = False):
        self.shape, self.axis = shape, 2 if across else 1
        self.cells = self._room()

    def _room(self) -> np.ndarray:
        return empty(*self.shape)

    @property
    def lines(self) -> int:
        return self.shape[self.axis]

    def read(self, begin: int, end: int) -> np.ndarray:
        """Lines [begin, end) in the layout of the lattice, (B, rows, columns, channels)."""
        return along(self.cells, self.axis, begin, end)

    def write(self, begin: int, cells: np.ndarray) -> None:
        """Writes lines, the first one at line `begin`."""
        along(self.cells, self.axis, begin, begin + cells.shape[self.axis])[...] = cells


class FileLattice(Lattice):
    """A lattice in a file, line by line. The file is read and written, not mapped, since pages of a mapped file count
    as memory of the process.

    Raises:
        OSError: the file cannot be read or written; the methods raise it too.
    """

    def __init__(self, shape: tuple[int, ...], file: BinaryIO, across: bool = False):
        super().__init__(shape, across)
        self.file = file

    def _room(self) -> np.ndarray:
        return empty(0)

    def _seek(self, picture: int, line: int) -> None:
        _, rows, columns, channels = self.shape
        length = rows * columns // self.lines
        self.file.seek((picture * self.lines + line) * length * channels * 4)

    def read(self, begin: int, end: int) -> np.ndarray:
        batch, channels = self.shape[0], self.shape[3]
        room = empty(batch, end - begin, self.shape[3 - self.axis], channels)
        for picture, part in enumerate(room):
            self._seek(picture, begin)
            if self.file.readinto(part.data) != part.nbytes:  # type: ignore[attr-defined]
                raise OSError("the file of cells was cut off")
        return room.swapaxes(1, self.axis)

    def write(self, begin: int, cells: np.ndarray) -> None:
        for picture, part in enumerate(np.ascontiguousarray(cells.swapaxes(1, self.axis))):
            self._seek(picture, begin)
            self.file.write(part.data)


@contextmanager
def opened_lattice(shape: tuple[int, ...], across: bool, file: int) -> Iterator[Lattice]:
    """A lattice in a temporary file of `file` bytes, or in memory if that is 0.

    Raises:
        LncaError: there is no room for the file.
    """
    if not file:
        yield Lattice(shape, across)
        return
    try:
        with tempfile.TemporaryFile(prefix="lnca-cells-") as room:
            _reserve(room.fileno(), file)
            yield FileLattice(shape, room, across)
    except OSError as error:
        folder, size = tempfile.gettempdir(), file / 1e6
        raise LncaError(f"no room for {size:.0f} MB of cells in {folder}; set TMPDIR to another folder") from error


def _reserve(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:
        os.ftruncate(handle, size)

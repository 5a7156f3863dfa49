"""Prepared tiles on disk: memory-mapped arrays and a description.

tiles.json       set, side, count, names of the groups, what was left out, a note on the pictures
clean.npy        uint8 (N, 3, 32, 32)
corrupted.npy    the same, for sets of pairs
group.npy        int32 (N,), index into the names of the groups
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..corruption import Task
from ..errors import LncaError
from .tiles import TILE_SIDE

FORMAT = 1
DESCRIPTION = "tiles.json"


@dataclass(frozen=True)
class Prepared:
    """An opened folder of prepared tiles; the arrays are mapped from their files.

    Args:
        clean: uint8 (N, 3, 32, 32).
        corrupted: the corrupted tiles, with the same shape, or None.
        group: int32 (N,), indices into `groups`.
        groups: names of the groups.
        task: the task of the pairs, if the set has one.
        note: what has to be said beside every score, such as the format of the files; or empty.
    """

    clean: np.ndarray
    corrupted: np.ndarray | None
    group: np.ndarray
    groups: list[str]
    task: Task | None
    note: str

    @classmethod
    def open(cls, folder: Path) -> "Prepared":
        """Opens a folder; raises `LncaError` if its files are damaged or do not belong together."""
        try:
            description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
            if description["format"] != FORMAT:
                raise LncaError(
                    f"{folder} has format {description['format']!r}, this lnca reads {FORMAT}; prepare anew"
                )
            count, names = int(description["tiles"]), list(description["groups"])
            clean = _map(folder / "clean.npy", (count, 3, TILE_SIDE, TILE_SIDE), np.uint8)
            corrupted = _map(folder / "corrupted.npy", clean.shape, np.uint8) if description["pairs"] else None
            group = _map(folder / "group.npy", (count,), np.int32)
            if count and not 0 <= group.min() <= group.max() < len(names):
                raise ValueError("group.npy does not fit tiles.json")
            return cls(clean, corrupted, group, names, description["task"], description.get("note", ""))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LncaError(f"{folder} is damaged ({error}); prepare it anew with lnca data prepare") from error


def _map(path: Path, shape: tuple[int, ...], kind: type) -> np.ndarray:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != shape or array.dtype != kind:
        raise ValueError(f"{path.name} is {array.dtype} {array.shape}, expected {np.dtype(kind)} {shape}")
    return array


def whole(store: np.ndarray) -> np.ndarray:
    """Returns an array that may be mapped from a file, after a check that the file is not shorter than before: reading
    beyond its end would kill the process.

    Raises:
        LncaError: the file is shorter than the array.
    """
    if isinstance(store, np.memmap) and store.filename is not None:
        try:
            size = Path(store.filename).stat().st_size
        except OSError:
            # The file is removed, but still open.
            return store
        if size < store.offset + store.nbytes:
            raise LncaError(f"{store.filename} was cut off while it was in use; prepare it anew with lnca data prepare")
    return store


def is_prepared(folder: Path) -> bool:
    """Whether `lnca data prepare` wrote this folder."""
    return (folder / DESCRIPTION).is_file()

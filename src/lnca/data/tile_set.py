"""Tiles for training, validation and test: cut from a folder of pictures, or prepared on disk."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..corruption import Task
from ..degradation import PhotoTask
from ..degradation.paper import corrupt
from ..errors import LncaError
from ..randomness import generator
from .prepared import Prepared, is_prepared, whole
from .reading import pictures_in, read_all
from .source import FilePicture, Sample
from .splits import Split, split_groups
from .tiles import TILE_SIDE, tiles_of


@dataclass(frozen=True)
class TileSet:
    """Some tiles of a store of tiles.

    Args:
        clean: uint8 (M, 3, 32, 32), in memory or mapped from a file.
        corrupted: the corrupted tiles of pairs, with the same shape; None if the corruption is drawn.
        rows: numbers of the tiles of this set among the M, ascending.
        groups: source pictures (or scenes, or films) of the tiles.
        task: the corruption of the pairs, if the data set says so.
        left_out: one sentence for each file of the folder that was left out, with the reason.
    """

    clean: np.ndarray
    corrupted: np.ndarray | None
    rows: np.ndarray
    groups: int
    task: Task | None = None
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the tiles."""
        digest = hashlib.sha256()
        for store in (self.clean, self.corrupted):
            for start in range(0, len(self) if store is not None else 0, 4096):
                digest.update(whole(store)[self.rows[start : start + 4096]].tobytes())  # type: ignore[arg-type]
        return digest.hexdigest()

    def limited(self, count: int | None, seed: int) -> "TileSet":
        """At most `count` of the tiles, drawn at random."""
        if count is None or len(self) <= count:
            return self
        order = torch.randperm(len(self), generator=generator("cpu", seed, "limit"))[:count]
        return replace(self, rows=self.rows[np.sort(order.numpy())])

    def check(self, task: Task | PhotoTask) -> None:
        """Raises `LncaError` if these are pairs for another task."""
        if self.corrupted is not None and self.task not in (None, task):
            raise LncaError(f"these pairs are for --task {self.task}, not {task}")

    def pairs(
        self, index: Tensor, task: Task | PhotoTask, difficulty: float, draw: torch.Generator, augment: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Clean and corrupted tiles (B, 3, 32, 32) in [0, 1] on the device of `draw`.

        Args:
            index: (B,) numbers from 0 to len(self) - 1.
            task, difficulty, draw: the corruption, if the set has no pairs.
            augment: rotate and mirror each tile, and its corrupted version alike, in one of eight ways.
        """
        rows = self.rows[index.numpy()]

        def pixels(store: np.ndarray) -> Tensor:
            return torch.from_numpy(whole(store)[rows]).to(draw.device).float() / 255

        stores = [pixels(store) for store in (self.clean, self.corrupted) if store is not None]
        if augment:
            ways = torch.randint(8, (len(rows),), generator=draw, device=draw.device)
            stores = [turned(tiles, ways) for tiles in stores]
        clean, *rest = stores
        return clean, rest[0] if rest else corrupt(clean, task, difficulty, draw)  # type: ignore[arg-type]


def turned(tiles_BCSS: Tensor, ways_B: Tensor) -> Tensor:
    """Rotates and mirrors each square tile in one of eight ways; 0 leaves it unchanged."""
    for bit, change in enumerate((lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT)):
        chosen = (ways_B >> bit & 1).bool()[:, None, None, None]
        tiles_BCSS = torch.where(chosen, change(tiles_BCSS), tiles_BCSS)
    return tiles_BCSS


def open_tiles(
    data: Path, split: Split, seed: int, side: int, limit: int | None = None, skip_broken: bool = False
) -> TileSet:
    """The tiles of one split of a folder.

    Args:
        data: a folder of clean pictures, or one that `lnca data prepare` wrote.
        split: a part of the split that training with `seed` makes, or "all".
        side: side in pixels of the squares that are cut from pictures; prepared tiles are already cut.
        limit: largest number of tiles, which are drawn at random.
        skip_broken: leave out pictures that cannot be read; the split is made before, so it does not change.

    Raises:
        Unreadable: some pictures cannot be read; it names all of them.
        LncaError: there are no pictures, too few to split, or all tiles are flat.
    """
    if is_prepared(data):
        prepared = Prepared.open(data)
        groups = _groups(prepared.groups, split, seed)
        rows = np.flatnonzero(np.isin(prepared.group, groups))
        return TileSet(prepared.clean, prepared.corrupted, rows, len(groups), prepared.task).limited(limit, seed)
    paths, others = pictures_in(data, skip_broken)
    chosen = [paths[index] for index in _groups([path.name for path in paths], split, seed)]
    tiles, broken = read_all(
        chosen, lambda path: tiles_of(Sample(path.name, path.name, FilePicture(path)), side)[0], skip_broken
    )
    store = np.concatenate([np.empty((0, 3, TILE_SIDE, TILE_SIDE), np.uint8), *tiles])
    if not len(store):
        raise LncaError(f"no tile with any content in {len(paths)} picture(s); give pictures that are not flat")
    left = (*others, *broken)
    return TileSet(store, None, np.arange(len(store)), len(tiles), left_out=left).limited(limit, seed)


def _groups(names: list[str], split: Split, seed: int) -> list[int]:
    return list(range(len(names))) if split == "all" else split_groups(names, seed)[split]

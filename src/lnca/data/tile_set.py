"""Tiles to train, validate and test on: cut from a folder of pictures as it is, or prepared on disk."""

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
        corrupted: the same of the corrupted partners; None where corruption is drawn.
        rows: which of the M are meant, ascending.
        groups: source pictures (or scenes, or films) they come from.
        task: what the corrupted partners suffer from, where the set says so.
        left_out: files of the folder that were left out, and why, one sentence each.
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
        """Raises `LncaError` when these are pairs for another task."""
        if self.corrupted is not None and self.task not in (None, task):
            raise LncaError(f"these pairs are for --task {self.task}, not {task}")

    def pairs(
        self, index: Tensor, task: Task | PhotoTask, difficulty: float, draw: torch.Generator, augment: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Clean and corrupted tiles (B, 3, 32, 32) in [0, 1] on the device of `draw`.

        Args:
            index: (B,), of 0 ... len(self) - 1.
            task, difficulty, draw: of the corruption, where the set has no corrupted partners.
            augment: turn and mirror each tile, and its partner alike, in one of the eight ways.
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
    """Each square tile turned and mirrored in one of eight ways, 0 being as it is."""
    for bit, change in enumerate((lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.mT)):
        chosen = (ways_B >> bit & 1).bool()[:, None, None, None]
        tiles_BCSS = torch.where(chosen, change(tiles_BCSS), tiles_BCSS)
    return tiles_BCSS


def open_tiles(
    data: Path, split: Split, seed: int, side: int, limit: int | None = None, skip_broken: bool = False
) -> TileSet:
    """The tiles of one set of a folder.

    Args:
        data: a folder of clean pictures, or one that `lnca data prepare` wrote.
        split: a set of the split that a training with `seed` makes, or "all".
        side: side of a square cut from a picture, in pixels; prepared tiles are already cut.
        limit: at most that many tiles, drawn at random.
        skip_broken: leave out pictures that cannot be read; the split is made before, so that it is the same.

    Raises:
        Unreadable: pictures that cannot be read, all of them named.
        LncaError: no pictures, too few to split, no tile with any content.
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

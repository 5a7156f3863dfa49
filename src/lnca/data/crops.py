"""Crops of whole photographs at their own resolution, for models of real pictures."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..corruption import Task
from ..degradation import PhotoTask, degraded, photo_blur, photo_kernels
from ..errors import LncaError
from ..restoration.image_io import find_pictures
from .source import FilePicture
from .splits import Split, split_groups
from .tile_set import turned


@dataclass(frozen=True)
class CropSet:
    """Crops drawn at random, with the degradation drawn for each.

    Args:
        pictures: uint8 (H, W, 3), both sides at least `side` and two margins; larger ones are drawn from more often.
        side: of a crop, in pixels.
        margin: pixels around a crop, which are degraded with it and cut off.
        count: crops that make an epoch.
        groups: source pictures they come from.
    """

    pictures: list[np.ndarray]
    side: int
    margin: int
    count: int
    groups: int

    def __len__(self) -> int:
        return self.count

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pictures."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(picture.tobytes())
        return digest.hexdigest()

    def check(self, task: Task | PhotoTask) -> None:
        """Crops serve every task of photographs."""

    def pairs(
        self, index: Tensor, task: Task | PhotoTask, difficulty: float, draw: torch.Generator, augment: bool = False
    ) -> tuple[Tensor, Tensor]:
        """As many clean and degraded crops (B, 3, side, side) in [0, 1] as `index` is long, on the device of `draw`;
        the rest as `TileSet.pairs`."""
        clean = self._clean(len(index), draw, augment)
        return self._inner(clean), self._inner(degraded(clean, task, draw))  # type: ignore[arg-type]

    def blurred(self, index: Tensor, draw: torch.Generator, augment: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """What `pairs` gives for the task photo-deblur, and the kernels (B, 31, 31) of the blur."""
        clean = self._clean(len(index), draw, augment)
        kernels = photo_kernels(len(index), draw)
        return self._inner(clean), self._inner(photo_blur(clean, draw, kernels)), kernels

    def _clean(self, batch: int, draw: torch.Generator, augment: bool) -> Tensor:
        """Crops with their margins."""
        areas = torch.tensor([float(p.shape[0] * p.shape[1]) for p in self.pictures], device=draw.device)
        chosen = torch.multinomial(areas, batch, replacement=True, generator=draw).tolist()
        places = torch.rand(batch, 2, generator=draw, device=draw.device).tolist()
        crops, taken = [], self.side + 2 * self.margin
        for number, place in zip(chosen, places, strict=True):
            picture = self.pictures[number]
            top, left = (int(p * (size - taken + 1)) for p, size in zip(place, picture.shape, strict=False))
            crops.append(picture[top : top + taken, left : left + taken])
        clean = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).to(draw.device).float() / 255
        if augment:
            clean = turned(clean, torch.randint(8, (batch,), generator=draw, device=draw.device))
        return clean

    def _inner(self, crops: Tensor) -> Tensor:
        inner = slice(self.margin, self.margin + self.side)
        return crops[..., inner, inner]


def open_crops(data: Path, split: Split, seed: int, side: int, count: int, margin: int = 0) -> CropSet:
    """Crops of one set of a folder of pictures, as they are and at half their size, which has fewer flaws.

    Raises:
        LncaError: no pictures, too few to split, one that cannot be read, none that is large enough.
    """
    paths = find_pictures(data)
    chosen = [paths[i] for i in split_groups([path.name for path in paths], seed)[split]]
    whole = [FilePicture(path).read() for path in chosen]
    halves = [halved(picture) for picture in whole]
    needed = side + 2 * margin
    pictures = [picture for picture in [*whole, *halves] if min(picture.shape[:2]) >= needed]
    if not pictures:
        raise LncaError(f"none of the pictures in {data} has sides of {needed} pixels or more")
    return CropSet(pictures, side, margin, count, len(chosen))


def halved(picture: np.ndarray) -> np.ndarray:
    """Means over 2x2 pixels."""
    height, width = (size // 2 * 2 for size in picture.shape[:2])
    blocks = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return (blocks.mean((1, 3)) + 0.5).astype(np.uint8)

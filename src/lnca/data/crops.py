"""Crops of whole photographs at their own resolution, for models of real pictures."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..corruption import Task
from ..degradation import Degraded, PhotoTask, camera, drawing, photo_blur, plain_noise, recoloured
from ..degradation.draws import chance, rows_of
from ..degradation.level import CELL
from ..errors import LncaError
from .reading import pictures_in, read_all
from .source import FilePicture
from .splits import Split, split_groups
from .tile_set import turned

# Probability that a crop for denoising is a drawing.
DRAWN = 0.08
# How often a picture is halved. Photographs as cameras make them are smooth from pixel to pixel; reduced ones are as
# sharp and as full of texture as the pictures that people publish.
HALVINGS = 2
# A picture is drawn from as often as its area to this power says: in full proportion, the few largest would be all.
AREA_POWER = 0.5


@dataclass(frozen=True)
class CropSet:
    """Crops that are drawn at random, each with its own degradation.

    Args:
        pictures: uint8 (H, W, 3), both sides at least `side` and two margins; larger ones are drawn from more often
            (`AREA_POWER`).
        side: side of a crop in pixels.
        margin: pixels around a crop, a multiple of 8, which are degraded with it and then cut off.
        count: crops of an epoch.
        groups: source pictures of the crops.
        left_out: one sentence for each file of the folder that was left out, with the reason.
    """

    pictures: list[np.ndarray]
    side: int
    margin: int
    count: int
    groups: int
    left_out: tuple[str, ...] = ()

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
        """Accepts every task of photographs."""

    def pairs(
        self, index: Tensor, task: Task | PhotoTask, difficulty: float, draw: torch.Generator, augment: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Clean and degraded crops (B, 3, side, side) in [0, 1], as many as `index` has numbers, on the device of
        `draw`; for the other arguments see `TileSet.pairs`."""
        if task == "photo-denoise":
            crops = self.noisy(index, draw, augment)
            return crops.clean, crops.noisy
        clean = self._clean(len(index), draw, augment)
        return self._inner(clean), self._inner(photo_blur(clean, draw))

    def noisy(self, index: Tensor, draw: torch.Generator, augment: bool = False, plain: float = 0.0) -> Degraded:
        """Crops with the degradations of cameras (`lnca.degradation.camera`), as many as `index` has numbers. Some
        (`DRAWN`) are drawings instead of photographs.

        Args:
            augment: rotate and mirror the crops, and change their colours.
            plain: share of the crops that get plain noise (`lnca.degradation.plain_noise`) instead.
        """
        clean = self._clean(len(index), draw, augment)
        if augment:
            clean = recoloured(clean, draw)
        for row in chance(len(clean), DRAWN, draw).nonzero().flatten().tolist():
            picture = torch.from_numpy(drawing(clean.shape[-1], draw).copy())
            clean[row] = picture.permute(2, 0, 1).to(clean.device) / 255
        result = _spoilt(clean, draw, plain)
        first, last = self.margin // CELL, -(-(self.margin + self.side) // CELL)
        level = result.level_BCHW[..., first:last, first:last]
        return Degraded(self._inner(result.clean), self._inner(result.noisy), level)

    def of_side(self, side: int) -> "CropSet":
        """The same set with crops of another side, from the pictures that are large enough.

        Raises:
            LncaError: no picture is large enough.
        """
        needed = side + 2 * self.margin
        pictures = [picture for picture in self.pictures if min(picture.shape[:2]) >= needed]
        if not pictures:
            raise LncaError(f"none of the pictures has sides of {needed} pixels or more")
        return replace(self, side=side, pictures=pictures)

    def _clean(self, batch: int, draw: torch.Generator, augment: bool) -> Tensor:
        """Draws clean crops with their margins."""
        areas = torch.tensor([float(p.shape[0] * p.shape[1]) for p in self.pictures], device=draw.device)
        chosen = torch.multinomial(areas**AREA_POWER, batch, replacement=True, generator=draw).tolist()
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


def _spoilt(clean_BCHW: Tensor, draw: torch.Generator, plain: float) -> Degraded:
    """Applies the degradations of cameras or, with probability `plain`, plain noise."""
    if plain == 0:
        return camera(clean_BCHW, draw)
    chosen = chance(len(clean_BCHW), plain, draw)
    rows = [rows_of(~chosen), rows_of(chosen)]
    parts = [way(clean_BCHW[some], draw) for some, way in zip(rows, (camera, plain_noise), strict=True) if len(some)]
    back = torch.cat(rows).argsort()
    clean, noisy, level = (
        torch.cat([getattr(part, name) for part in parts])[back] for name in ("clean", "noisy", "level_BCHW")
    )
    return Degraded(clean, noisy, level)


def open_crops(
    data: Path,
    split: Split,
    seed: int,
    side: int,
    count: int,
    margin: int = 0,
    *,
    skip_broken: bool = False,
    also: Path | None = None,
) -> CropSet:
    """Crops of one split of a folder of pictures, at full size and reduced (`HALVINGS`).

    Args:
        skip_broken: leave out pictures that cannot be read; the split is made before, so it does not change.
        also: a folder of more pictures, all of which are for training.

    Raises:
        Unreadable: some pictures cannot be read; it names all of them.
        LncaError: there are no pictures, too few to split, or none is large enough.
    """
    paths, others = pictures_in(data, skip_broken)
    chosen = [paths[i] for i in split_groups([path.name for path in paths], seed)[split]]
    if also is not None and split == "train":
        more, left_out = pictures_in(also, skip_broken)
        chosen, others = [*chosen, *more], [*others, *left_out]
    whole, broken = read_all(chosen, lambda path: FilePicture(path).read(), skip_broken)
    needed = side + 2 * margin
    pictures = [each for picture in whole for each in reduced(picture, HALVINGS) if min(each.shape[:2]) >= needed]
    if not pictures:
        raise LncaError(f"none of the pictures in {data} has sides of {needed} pixels or more")
    return CropSet(pictures, side, margin, count, len(whole), (*others, *broken))


def reduced(picture: np.ndarray, halvings: int) -> list[np.ndarray]:
    """The picture, and it at 1/2, 1/4, ... of its size, as often halved."""
    pictures = [picture]
    for _ in range(halvings):
        if min(pictures[-1].shape[:2]) < 2:
            break
        pictures.append(halved(pictures[-1]))
    return pictures


def halved(picture: np.ndarray) -> np.ndarray:
    """The picture at half its size, by means over 2x2 pixels."""
    height, width = (size // 2 * 2 for size in picture.shape[:2])
    blocks = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return (blocks.mean((1, 3)) + 0.5).astype(np.uint8)

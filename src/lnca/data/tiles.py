"""Tile-shrink-clean (paper 4.1): pictures become 32x32 tiles, and redundant tiles are dropped."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import LncaError
from ..randomness import generator
from ..restoration.image_io import open_rgb

TILE_SIDE = 32
FLAT = 2.0


def tile(picture: Image.Image, side: int) -> np.ndarray:
    """Cuts an RGB picture into n x m squares of `side` pixels and shrinks each to 32x32.

    A picture smaller than `side` gives squares of its own shorter side; the rest at the right and below is left out.

    Returns:
        uint8 (n * m, 32, 32, 3).
    """
    side = min(side, *picture.size)
    columns, rows = picture.size[0] // side, picture.size[1] // side
    boxes = [(x * side, y * side, (x + 1) * side, (y + 1) * side) for y in range(rows) for x in range(columns)]
    size = (TILE_SIDE, TILE_SIDE)
    return np.stack([np.asarray(picture.resize(size, Image.Resampling.LANCZOS, box=box)) for box in boxes])


def clean(tiles: np.ndarray) -> np.ndarray:
    """Drops tiles without content (standard deviation below 2 of 255) and all but the first of tiles that look the same
    (equal brightness in 16 levels on a 4x4 grid)."""
    grey = tiles.mean(-1)
    structured = grey.std((1, 2)) >= FLAT
    tiles, grey = tiles[structured], grey[structured]
    cell = TILE_SIDE // 4
    signature = grey.reshape(-1, 4, cell, 4, cell).mean((2, 4)).astype(np.uint8) // 16
    _, first = np.unique(signature.reshape(-1, 16), axis=0, return_index=True)
    return tiles[np.sort(first)]


def load_tiles(paths: Iterable[Path], side: int, limit: int | None = None, seed: int = 0) -> Tensor:
    """Tile-shrink-clean of many pictures.

    Args:
        paths: picture files.
        side: side of a tile before shrinking, in pixels.
        limit: keep at most that many tiles, drawn at random with `seed`.

    Returns:
        uint8 (N, 3, 32, 32).

    Raises:
        LncaError: a picture cannot be read, or no tile has any content.
    """
    paths = list(paths)
    tiles = np.concatenate([clean(tile(open_rgb(path), side)) for path in paths])
    if not len(tiles):
        raise LncaError(f"no tile with any content in {len(paths)} picture(s); give pictures that are not flat")
    if limit is not None and len(tiles) > limit:
        order = torch.randperm(len(tiles), generator=generator("cpu", seed, "limit"))[:limit]
        tiles = tiles[np.sort(order.numpy())]
    return torch.from_numpy(tiles).permute(0, 3, 1, 2).contiguous()

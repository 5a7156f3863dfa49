"""Tile-shrink-clean (paper 4.1): pictures become 32x32 tiles, and redundant tiles are dropped."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from ..restore.image_io import open_rgb

TILE_SIDE = 32
FLAT = 2.0


def tile(picture: Image.Image, side: int) -> np.ndarray:
    """Cuts an RGB picture into n x m squares of `side` pixels and shrinks each to 32x32.

    A picture smaller than `side` gives squares of its own shorter side; a rest at the right and lower border is left out.

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
    _, first = np.unique(signature.reshape(len(tiles), -1), axis=0, return_index=True)
    return tiles[np.sort(first)]


def tile_pictures(
    paths: Iterable[Path], side: int, report: Callable[[Path], object] = lambda path: None
) -> tuple[np.ndarray, np.ndarray]:
    """Tile-shrink-clean of many pictures.

    Args:
        paths: picture files.
        side: side of a tile before shrinking, in pixels.
        report: called after each picture.

    Returns:
        tiles, uint8 (N, 32, 32, 3), and for each the index of its picture, int64 (N,).
    """
    tiles, sources = [np.empty((0, TILE_SIDE, TILE_SIDE, 3), np.uint8)], []
    for index, path in enumerate(paths):
        kept = clean(tile(open_rgb(path), side))
        tiles.append(kept)
        sources.append(np.full(len(kept), index))
        report(path)
    return np.concatenate(tiles), np.concatenate(sources).astype(np.int64) if sources else np.empty(0, np.int64)

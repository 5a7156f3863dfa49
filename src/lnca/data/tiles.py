"""Tile-shrink-clean (paper 4.1): pictures become 32x32 tiles, and redundant tiles are dropped."""

import numpy as np
from PIL import Image

from ..errors import LncaError
from .source import Sample

TILE_SIDE = 32
FLAT = 2.0


def tile(picture: np.ndarray, side: int | None) -> np.ndarray:
    """Cuts a picture into n x m squares of `side` pixels and shrinks each to 32x32.

    If a picture is smaller than `side`, the squares have its shorter side. The rest at the right and lower border is
    left out.

    Args:
        picture: uint8 (H, W, 3).
        side: side of a square in pixels; None shrinks the whole picture to one tile.

    Returns:
        uint8 (n * m, 32, 32, 3).
    """
    image = Image.fromarray(picture)
    size = (TILE_SIDE, TILE_SIDE)
    if side is None:
        return np.asarray(image.resize(size, Image.Resampling.LANCZOS))[None]
    side = min(side, *image.size)
    columns, rows = image.size[0] // side, image.size[1] // side
    boxes = [(x * side, y * side, (x + 1) * side, (y + 1) * side) for y in range(rows) for x in range(columns)]
    return np.stack([np.asarray(image.resize(size, Image.Resampling.LANCZOS, box=box)) for box in boxes])


def distinct(tiles: np.ndarray) -> np.ndarray:
    """Numbers of the tiles that stay. Flat tiles (standard deviation below 2 of 255) are dropped; of tiles that look
    the same (equal brightness in 16 levels on a 4x4 grid) only the first stays."""
    grey = tiles.mean(-1)
    structured = np.flatnonzero(grey.std((1, 2)) >= FLAT)
    cell = TILE_SIDE // 4
    signature = grey[structured].reshape(-1, 4, cell, 4, cell).mean((2, 4)).astype(np.uint8) // 16
    _, first = np.unique(signature.reshape(-1, 16), axis=0, return_index=True)
    return structured[np.sort(first)]


def tiles_of(sample: Sample, side: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    """The clean tiles of a sample and, for a pair, the corrupted tiles in the same places. The clean tiles decide which
    ones stay. If `side` is None, every sample gives one tile, which always stays.

    Returns:
        One or two arrays uint8 (N, 3, 32, 32).

    Raises:
        LncaError: a picture cannot be read, or the pictures of a pair have different sizes.
    """
    clean = sample.clean.read()
    corrupted = None if sample.corrupted is None else sample.corrupted.read()
    if corrupted is not None and corrupted.shape != clean.shape:
        sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (clean, corrupted))
        raise LncaError(f"{sample.name}: the pictures of a pair should have the same size, got {sizes}")
    squares = tile(clean, side)
    keep = np.arange(len(squares)) if side is None else distinct(squares)
    result = [squares[keep]] + ([] if corrupted is None else [tile(corrupted, side)[keep]])
    first, *rest = (np.ascontiguousarray(tiles.transpose(0, 3, 1, 2)) for tiles in result)
    return first, rest[0] if rest else None

"""The public test sets of papers on denoising, read from folders as their authors publish them. None ships with lnca.

CBSD68, Kodak24 and McMaster hold clean pictures. Pairs of real photographs are `*_real.*`, one noisy shot, beside
`*_mean.*`, the mean of many shots of the same scene (PolyU: Xu, Li, Liang, Zhang and Zhang 2018, arXiv:1804.02603).
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..errors import LncaError
from ..images.eight_bit import find_pictures, open_rgb

SETS = ("CBSD68", "Kodak24", "McMaster")


class Pair(NamedTuple):
    """Files of a noisy photograph and of its clean reference."""

    noisy: Path
    truth: Path


def set_pictures(folder: Path, name: str, every: int = 1) -> list[Path]:
    """Every `every`-th picture of a set, sorted by name.

    Raises:
        LncaError: the folder does not have this set.
    """
    if not (folder / name).is_dir():
        raise LncaError(f"{folder} has no folder {name}; get the set, or name the sets that are there with --sets")
    return find_pictures(folder / name)[::every]


def real_pairs(folder: Path, every: int = 1) -> list[Pair]:
    """Every `every`-th pair of a folder, sorted by name.

    Raises:
        LncaError: there are no pairs, or a noisy picture has no clean reference.
    """
    noisy = [path for path in find_pictures(folder) if path.stem.endswith("_real")]
    if not noisy:
        raise LncaError(f"{folder} holds no pair; looked for *_real.* beside *_mean.*")
    pairs = [Pair(path, path.with_name(f"{path.stem.removesuffix('real')}mean{path.suffix}")) for path in noisy]
    if missing := [pair.truth for pair in pairs if not pair.truth.is_file()]:
        raise LncaError(f"{missing[0]} is missing beside its noisy picture; get the whole set")
    return pairs[::every]


def read(path: Path, grey: bool = False) -> np.ndarray:
    """A picture, uint8: (H, W, 3), or (H, W) in grey.

    Grey is the luma of ITU-R BT.601 at full range, 0.299 R + 0.587 G + 0.114 B, rounded to 8 bits, as in the
    test code of DnCNN and FFDNet.

    Raises:
        LncaError: see `open_rgb`.
    """
    picture: Image.Image = open_rgb(path)
    return np.asarray(picture.convert("L") if grey else picture)

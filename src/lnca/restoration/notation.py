"""Parses regions, sizes and noise levels; imports nothing heavy."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import LncaError

if TYPE_CHECKING:
    import numpy as np


def parse_region(text: str) -> tuple[int, int, int, int]:
    """Left, top, width and height of "10,20,300,200"; raises `LncaError` for anything else."""
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() for part in parts):
        raise LncaError(f"{text!r} is no region; write left,top,width,height in pixels, such as 10,20,300,200")
    left, top, width, height = map(int, parts)
    if not width or not height:
        raise LncaError(f"the region {text} is empty; give a width and a height")
    return left, top, width, height


def parse_bytes(text: str) -> int:
    """Reads "2GB", "500 MB" or "100000"; raises `LncaError` for anything else."""
    units = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number = text.strip().upper()
    unit = number.lstrip("0123456789. ")
    try:
        size = float(number[: len(number) - len(unit)]) * units[unit.strip()]
    except (KeyError, ValueError) as error:
        raise LncaError(f"{text!r} is no size; write 2GB or 500MB") from error
    if not 0 < size < 2**62:
        raise LncaError(f"{text!r} is no size; write 2GB or 500MB")
    return int(size)


# Largest noise level, in 255ths.
MAX_NOISE_LEVEL = 255.0


@dataclass(frozen=True, kw_only=True)
class Noise:
    """The user's settings for noise; see `lnca.restoration.restorer.Restorer.restore`.

    Args:
        level: standard deviation in 255ths, a map of them, or "auto".
        scale: factor of the level.
        luma, chroma: shares of the correction in brightness and in colour.
    """

    level: "Literal['auto'] | float | np.ndarray" = "auto"
    scale: float = 1.0
    luma: float = 1.0
    chroma: float = 1.0


def parse_noise_level(text: str) -> Literal["auto"] | float:
    """Parses a noise level; raises `LncaError` for anything except auto and numbers from 0 to 255."""
    if text == "auto":
        return "auto"
    try:
        level = float(text)
    except ValueError:
        level = -1.0
    if not 0 <= level <= MAX_NOISE_LEVEL:
        raise LncaError(f"the noise level should be auto or a number from 0 to {MAX_NOISE_LEVEL:g}, got {text[:20]!r}")
    return level

"""Converts noise levels from users to the form that models take."""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..errors import LncaError
from ..runtime.noise_level import SIDE
from .notation import MAX_NOISE_LEVEL, Noise
from .pictures import LUMA, Rows

if TYPE_CHECKING:
    from .restorer import Restorer

# A number or a map (H, W) in 255ths, pairs for each cell (h, w, 2), or "auto".
NoiseLevel = Literal["auto"] | float | np.ndarray
# Share of independent noise in three channels that is brightness noise; in a grey picture all noise is.
SHARE_OF_LUMA = float(np.linalg.norm(LUMA))


def level_map(noise_level: float | np.ndarray, rows: Rows) -> np.ndarray:
    """Given noise levels in the form that models take, (1, 2, H / 8, W / 8), rounded up.

    All noise of a grey picture, whose channels are equal, is brightness noise.

    Args:
        noise_level: a number, a map (H, W), or pairs (H / 8, W / 8, 2) from `Restorer.noise_levels`, or such pairs
            of several pictures (B, H / 8, W / 8, 2).

    Raises:
        LncaError: the type, shape or size is wrong, or values are below 0 or above 255.
    """
    height, width = -(-rows.height // SIDE), -(-rows.width // SIDE)
    try:
        array = np.asarray(noise_level, np.float32)
    except (TypeError, ValueError) as error:
        raise LncaError(
            f"the noise level should be auto, a number or an array, got {str(noise_level)[:40]!r}"
        ) from error
    if not (array.size and array.min() >= 0 and array.max() <= MAX_NOISE_LEVEL):
        raise LncaError(
            f"noise levels are standard deviations in 255ths, 0 to {MAX_NOISE_LEVEL:g}, got {_found(array)}"
        )
    if array.shape[-3:] == (height, width, 2) and (array.ndim == 3 or array.shape[:-3] == (rows.batch,)):
        return array.reshape(-1, height, width, 2).transpose(0, 3, 1, 2)
    if array.ndim and array.shape != (rows.height, rows.width):
        sizes = "x".join(map(str, reversed(array.shape[:2])))
        raise LncaError(
            f"the map of noise levels is {sizes}, the picture {rows.width}x{rows.height}; give one of its size"
        )
    if array.ndim:
        beyond = ((0, height * SIDE - rows.height), (0, width * SIDE - rows.width))
        squares = np.pad(np.square(array), beyond, "edge").reshape(height, SIDE, width, SIDE)
        cells = np.sqrt(squares.mean((1, 3)))
    else:
        cells = np.full((height, width), array)
    pair = (cells / np.float32(SHARE_OF_LUMA), 0 * cells) if rows.grey else (cells, cells)
    return np.stack(pair)[None].astype(np.float32)


def _found(array: np.ndarray) -> str:
    return f"{array.min():g} to {array.max():g}" if array.size else "none"


class Told(NamedTuple):
    """Options of `Restorer.restore`, and the mean levels of brightness and colour noise in 255ths, for models with a
    noise level."""

    options: dict[str, Any]
    mean: tuple[float, float] | None = None


def told(noise: Noise, restorer: "Restorer", picture: Any) -> Told:
    """The noise options for one picture; raises `LncaError` like `Restorer.restore`."""
    shares = {"luma": noise.luma, "chroma": noise.chroma}
    if not restorer.takes_noise_level:
        return Told({"noise_level": noise.level, "noise_scale": noise.scale, **shares})
    levels = restorer.noise_levels(picture, noise.level, noise.scale)
    brightness, colour = levels.mean((0, 1)).tolist()
    return Told({"noise_level": levels, **shares}, (brightness, colour))

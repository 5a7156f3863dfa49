"""Blur kernels as people give them, and as models take them."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Union

import numpy as np
from PIL import Image

from ..errors import LncaError, in_short
from ..files import write_whole
from .pictures import is_tensor

if TYPE_CHECKING:
    from torch import Tensor

# A point spread function (K, L), or "auto".
Kernel = Union[Literal["auto"], np.ndarray, "Tensor"]
# Of a kernel's sides.
LARGEST_SIDE = 1023
# Modes of pictures whose values are taken as they are.
GREYS = ("1", "L", "I", "I;16", "I;16B", "F")
# Of files that a kernel is written to.
KERNEL_SUFFIXES = (".png", ".tif", ".tiff", ".npy")


def kernel_of(kernel: Kernel, height: int, width: int) -> np.ndarray | None:
    """A told kernel as a model takes it, float32 (K, L), of sum 1; None for "auto".

    Args:
        kernel: not negative, of any sum.
        height, width: of the picture.

    Raises:
        LncaError: another kind or shape; negative values, NaN, or nothing but zeros; larger than the picture.
    """
    if isinstance(kernel, str):
        if kernel != "auto":
            raise LncaError(f"the kernel should be auto or an array (K, L), got {kernel[:40]!r}")
        return None
    try:
        array = np.asarray(kernel.cpu() if is_tensor(kernel) else kernel, np.float64)  # type: ignore[union-attr]
    except (TypeError, ValueError) as error:
        raise LncaError(f"the kernel should be auto or an array (K, L), got {str(kernel)[:40]!r}") from error
    if array.ndim != 2 or not array.size:
        raise LncaError(f"a kernel should have the shape (K, L), got {array.shape}")
    if not (np.isfinite(array).all() and array.min() >= 0 and array.max() > 0):
        raise LncaError("a kernel's values should be finite and not negative, and not all be 0")
    if array.shape[0] > min(height, LARGEST_SIDE) or array.shape[1] > min(width, LARGEST_SIDE):
        sizes = f"{array.shape[1]}x{array.shape[0]}, the picture {width}x{height}"
        raise LncaError(f"the kernel is {sizes}; it should fit into the picture and have {LARGEST_SIDE} rows at most")
    return (array / array.sum()).astype(np.float32)


def read_kernel(path: Path) -> np.ndarray:
    """The kernel that a picture shows, brighter where more light falls, or a .npy file holds: (K, L).

    Raises:
        LncaError: it cannot be read, or is too large for a kernel.
    """
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                return np.asarray(np.load(file, allow_pickle=False))
        with Image.open(path) as picture:
            if max(picture.size) > LARGEST_SIDE:
                raise LncaError(f"{path} is {picture.width}x{picture.height}; a kernel has {LARGEST_SIDE} rows at most")
            plain = picture if picture.mode in GREYS else picture.convert("RGB")
            values = np.asarray(plain, np.float64)
    except OSError as error:
        raise LncaError(
            f"{path} cannot be read as a kernel: {error.strerror or 'no picture in a known format'}"
        ) from error
    except (ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise LncaError(f"{path} cannot be read as a kernel: {in_short(error)}") from error
    return values if values.ndim == 2 else values.mean(-1)


def write_kernel(path: Path, kernel_KK: np.ndarray) -> None:
    """Writes a kernel as a grey picture of 16 bits, its largest value white, or as a .npy file.

    Raises:
        LncaError: another suffix than .png, .tif and .npy; it cannot be written.
    """
    suffix, file = path.suffix.lower(), io.BytesIO()
    if suffix == ".npy":
        np.save(file, kernel_KK.astype(np.float32), allow_pickle=False)
    elif suffix in KERNEL_SUFFIXES:
        values = np.round(kernel_KK / kernel_KK.max() * 65535).astype(np.uint16)
        Image.fromarray(values).save(file, "png" if suffix == ".png" else "tiff")
    else:
        raise LncaError(f"{path} should end in {', '.join(KERNEL_SUFFIXES)}")
    write_whole(path, file.getvalue())

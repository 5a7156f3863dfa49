"""Converts blur kernels from users to the form that models take, and reads and writes their files."""

import io
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, BinaryIO, Literal, Union

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import LncaError, in_short
from ..files import write_whole
from .pictures import is_tensor

if TYPE_CHECKING:
    from torch import Tensor

# A point spread function (K, L), or "auto".
Kernel = Union[Literal["auto"], np.ndarray, "Tensor"]
# Of a kernel's sides.
LARGEST_SIDE = 1023
# Bytes of a kernel's file.
LARGEST_FILE = 32 * 10**6
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
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise LncaError(f"{path} cannot be read as a kernel: {error.strerror or error}") from error
    if len(content) > LARGEST_FILE:
        raise LncaError(f"{path} has more than {LARGEST_FILE / 1e6:g} MB, which no file of a kernel has")
    return kernel_in(content, str(path))


def kernel_in(content: bytes, name: str) -> np.ndarray:
    """The kernel of a file's content, as `read_kernel` gives it.

    Args:
        name: of the file, for sentences.

    Raises:
        LncaError: see `read_kernel`.
    """
    file = io.BytesIO(content)
    try:
        if content.startswith(np.lib.format.MAGIC_PREFIX):
            _check_header(file, name)
            return np.asarray(np.load(file, allow_pickle=False))
        with Image.open(file) as picture:
            _check_size((picture.height, picture.width), name)
            plain = picture if picture.mode in GREYS else picture.convert("RGB")
            values = np.asarray(plain, np.float64)
    except UnidentifiedImageError as error:
        raise LncaError(f"{name} cannot be read as a kernel: no picture in a known format") from error
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, Image.DecompressionBombError) as error:
        raise LncaError(f"{name} cannot be read as a kernel: {in_short(error)}") from error
    return values if values.ndim == 2 else values.mean(-1)


def _check_header(file: BinaryIO, name: str) -> None:
    """Looks at the header of a .npy file before memory is taken for what it says."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.kind not in "biuf":
        raise LncaError(f"{name} cannot be read as a kernel: it holds {dtype}, not numbers")
    if len(shape) != 2:
        raise LncaError(f"a kernel should have the shape (K, L), got {shape}")
    _check_size(shape, name)
    file.seek(0)


def _check_size(shape: tuple[int, ...], name: str) -> None:
    if max(shape) > LARGEST_SIDE:
        sizes = "x".join(map(str, reversed(shape)))
        raise LncaError(f"{name} is {sizes}; a kernel has {LARGEST_SIDE} rows at most")


def write_kernel(path: Path, kernel_KK: np.ndarray) -> None:
    """Writes a kernel as a grey picture of 16 bits, its largest value white, or as a .npy file.

    Raises:
        LncaError: another suffix than .png, .tif and .npy; it cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in KERNEL_SUFFIXES:
        raise LncaError(f"{path} should end in {', '.join(KERNEL_SUFFIXES)}")
    write_whole(path, kernel_file(kernel_KK, suffix))


def kernel_file(kernel_KK: np.ndarray, suffix: str = ".png") -> bytes:
    """The content of a file as `write_kernel` writes it.

    Args:
        suffix: one of `KERNEL_SUFFIXES`.
    """
    file = io.BytesIO()
    if suffix == ".npy":
        np.save(file, kernel_KK.astype(np.float32), allow_pickle=False)
    else:
        values = np.round(kernel_KK / kernel_KK.max() * 65535).astype(np.uint16)
        Image.fromarray(values).save(file, "png" if suffix == ".png" else "tiff")
    return file.getvalue()

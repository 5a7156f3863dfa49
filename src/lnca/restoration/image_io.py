"""Reading and writing pictures: what is refused, in one sentence each, and writing that is whole or not at all."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import LncaError, NotAPicture, TooLarge
from ..files import written_whole
from ..nn.latent import SMALLEST_SIDE
from .limits import PIXEL_LIMIT
from .pictures import MODES

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")


def open_picture(path: Path | str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """Reads a picture file, upright as its EXIF orientation says.

    Args:
        path: a picture file.
        pixel_limit: the most pixels that are decoded.

    Raises:
        LncaError: missing, empty, truncated, no picture, over the limit, of a mode that is not handled, or with a side
            shorter than 8 pixels.
    """
    path = Path(path)
    try:
        if path.stat().st_size == 0:
            raise LncaError(f"{path} is empty; give a picture file")
        with path.open("rb") as file:
            return decode_picture(file, str(path), pixel_limit)
    except FileNotFoundError as error:
        raise LncaError(f"{path} does not exist") from error
    except OSError as error:
        raise LncaError(f"{path} cannot be read: {error.strerror or error}") from error


def decode_picture(file: BinaryIO, name: str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """`open_picture` for an open file, which errors call `name`."""
    try:
        with lazily_opened(file) as picture:
            check_size(*picture.size, name, pixel_limit)
            if picture.mode not in MODES:
                raise LncaError(
                    f"{name} has pixels of kind {picture.mode!r}; convert it to 8-bit grey, RGB or RGBA first"
                )
            picture.load()
            return ImageOps.exif_transpose(picture)
    except UnidentifiedImageError as error:
        raise NotAPicture(f"{name} is not a picture in a format that is known here") from error
    except LncaError:
        raise
    except MemoryError as error:
        raise LncaError(f"{name} does not fit into memory") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise LncaError(f"{name} is broken or truncated ({error}); get a whole copy of it") from error


@contextmanager
def lazily_opened(file: BinaryIO) -> Iterator[Image.Image]:
    """Pillow's image of a file, whose size is to be checked (`check_size`) before its pixels are read; Pillow's own
    limit is off, and its warnings of odd files: what matters becomes an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        previous, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with Image.open(file) as picture:
                yield picture
        finally:
            Image.MAX_IMAGE_PIXELS = previous


def check_size(width: int, height: int, name: str, pixel_limit: int, before: int = 0) -> int:
    """How many pixels there are with those of the frames `before`.

    Raises:
        TooLarge: more than the limit.
        LncaError: a side shorter than 8.
    """
    pixels = before + width * height
    if pixels > pixel_limit:
        raise TooLarge(
            f"{name} has {pixels / 1e6:.0f} million pixels and the limit is {pixel_limit / 1e6:.0f} million; "
            "raise it with --max-pixels if you trust the file"
        )
    if min(width, height) < SMALLEST_SIDE:
        raise LncaError(f"{name} is {width}x{height}; a picture needs at least 8x8 pixels")
    return pixels


def open_rgb(path: Path | str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """`open_picture`, converted to RGB."""
    return open_picture(path, pixel_limit).convert("RGB")


def find_pictures(folder: Path) -> list[Path]:
    """Picture files in a folder and the folders below it, sorted by name.

    Raises:
        LncaError: the folder does not exist or holds none.
    """
    if not folder.is_dir():
        raise LncaError(f"{folder} is not a folder")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise LncaError(f"{folder} holds no picture; looked for {', '.join(SUFFIXES)}")
    return found


def check_output(path: Path, overwrite: bool, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Refuses, before any work is done, an output that exists or that no picture format belongs to."""
    if path.suffix.lower() not in suffixes:
        raise LncaError(f"{path} should end in one of {', '.join(suffixes)}")
    if path.exists() and not overwrite:
        raise LncaError(f"{path} exists; add --overwrite to replace it")


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a picture to a temporary file beside `path`, then renames it.

    Raises:
        LncaError: the picture cannot be written there.
    """
    if path.suffix.lower() in (".jpg", ".jpeg") and picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    with written_whole(path) as temporary:
        picture.save(temporary, quality=95)

"""Reads and writes 8-bit pictures; errors are one sentence, and files are written whole or not at all."""

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..errors import LncaError, in_short
from ..files import NEW, Stamp, opened, write_whole
from .finding import Found, find
from .formats import FORMATS
from .limits import PIXEL_LIMIT
from .reading import read_photo

# Names of formats of 8-bit still pictures, by suffix.
KINDS = {suffix: name for suffix, name in FORMATS.items() if name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP")}
SUFFIXES = tuple(KINDS)


def open_picture(path: Path | str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """Reads the first frame of an 8-bit picture file, upright as its EXIF orientation says: grey or RGB, with or
    without alpha.

    Args:
        path: a picture file.
        pixel_limit: largest number of pixels to decode.

    Raises:
        LncaError: the file is missing, empty, truncated, not a picture, over the limit, of an unsupported mode, or has
            a side shorter than 8 pixels.
    """
    path = Path(path)
    with opened(path) as file:
        return decode_picture(file, str(path), pixel_limit)


def decode_picture(file: BinaryIO, name: str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """Like `open_picture`, for an open file; errors call it `name`."""
    frame = read_photo(file, name, pixel_limit, strict=True).frames[0]
    if frame.dtype != np.uint8:
        was = "floating point" if frame.dtype.kind == "f" else "16 bits"
        raise LncaError(f"{name} has pixels of {was}; convert it to 8-bit grey, RGB or RGBA first")
    return Image.fromarray(frame)


def open_rgb(path: Path | str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """`open_picture`, converted to RGB."""
    return open_picture(path, pixel_limit).convert("RGB")


def find_pictures(folder: Path) -> list[Path]:
    """Picture files in a folder and its subfolders, sorted by name.

    Raises:
        LncaError: see `look_into`; or a file or folder in it cannot be opened.
    """
    found = look_into(folder)
    failed = [f"{each.file} {each.reason}" for each in found.left if each.failed]
    if failed:
        raise LncaError("\n  ".join([f"not all of {folder} can be looked at:", *failed]))
    return found.pictures


def look_into(folder: Path) -> Found:
    """Picture files in a folder and its subfolders, sorted by name, and its other files.

    Raises:
        LncaError: the folder does not exist or has no picture.
    """
    if not folder.is_dir():
        raise LncaError(f"{folder} is not a folder")
    found = find(folder, SUFFIXES, set(KINDS.values()))
    if not found.pictures:
        failed = "".join(f"; {each.file} {each.reason}" for each in found.left if each.failed)
        raise LncaError(f"{folder} holds no picture; looked for {', '.join(SUFFIXES)}{failed}")
    return found


def check_output(path: Path, overwrite: bool, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Raises `LncaError`, before any work, for an output that exists or whose suffix is not that of a picture
    format."""
    if path.suffix.lower() not in suffixes:
        raise LncaError(f"{path} should end in one of {', '.join(suffixes)}")
    if path.exists() and not overwrite:
        raise LncaError(f"{path} exists; add --overwrite to replace it")


def save_picture(picture: Image.Image, path: Path, stamp: Stamp = NEW) -> None:
    """Writes a picture, whole or not at all; the suffix, one of `SUFFIXES`, determines the format.

    Args:
        stamp: permissions and times of the file.

    Raises:
        LncaError: the picture cannot be written there.
    """
    kind = KINDS[path.suffix.lower()]
    if kind == "JPEG" and picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    room = io.BytesIO()
    try:
        picture.save(room, kind, quality=95)
    # Encoders have their own limits.
    except (OSError, ValueError) as error:
        raise LncaError(f"cannot write {path}: {in_short(error, 120)}") from error
    write_whole(path, room.getbuffer(), stamp=stamp)

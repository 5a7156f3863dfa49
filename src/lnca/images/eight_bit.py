"""Reading and writing pictures: what is refused, in one sentence each, and writing that is whole or not at all."""

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

# Formats of 8-bit pictures without time, by suffix: their names.
KINDS = {suffix: name for suffix, name in FORMATS.items() if name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP")}
SUFFIXES = tuple(KINDS)


def open_picture(path: Path | str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """Reads a picture file of 8 bits, the first frame of it, upright as its EXIF orientation says: grey, RGB, or either
    with alpha.

    Args:
        path: a picture file.
        pixel_limit: the most pixels that are decoded.

    Raises:
        LncaError: missing, empty, truncated, no picture, over the limit, of a mode that is not handled, or with a side
            shorter than 8 pixels.
    """
    path = Path(path)
    with opened(path) as file:
        return decode_picture(file, str(path), pixel_limit)


def decode_picture(file: BinaryIO, name: str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """`open_picture` for an open file, which errors call `name`."""
    frame = read_photo(file, name, pixel_limit, strict=True).frames[0]
    if frame.dtype != np.uint8:
        was = "floating point" if frame.dtype.kind == "f" else "16 bits"
        raise LncaError(f"{name} has pixels of {was}; convert it to 8-bit grey, RGB or RGBA first")
    return Image.fromarray(frame)


def open_rgb(path: Path | str, pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """`open_picture`, converted to RGB."""
    return open_picture(path, pixel_limit).convert("RGB")


def find_pictures(folder: Path) -> list[Path]:
    """Picture files in a folder and the folders below it, sorted by name.

    Raises:
        LncaError: as `look_into`; something in it cannot be looked at.
    """
    found = look_into(folder)
    failed = [f"{each.file} {each.reason}" for each in found.left if each.failed]
    if failed:
        raise LncaError("\n  ".join([f"not all of {folder} can be looked at:", *failed]))
    return found.pictures


def look_into(folder: Path) -> Found:
    """Picture files in a folder and the folders below it, sorted by name, and what else there is.

    Raises:
        LncaError: the folder does not exist or holds no picture.
    """
    if not folder.is_dir():
        raise LncaError(f"{folder} is not a folder")
    found = find(folder, SUFFIXES, set(KINDS.values()))
    if not found.pictures:
        failed = "".join(f"; {each.file} {each.reason}" for each in found.left if each.failed)
        raise LncaError(f"{folder} holds no picture; looked for {', '.join(SUFFIXES)}{failed}")
    return found


def check_output(path: Path, overwrite: bool, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Refuses, before any work is done, an output that exists or that no picture format belongs to."""
    if path.suffix.lower() not in suffixes:
        raise LncaError(f"{path} should end in one of {', '.join(suffixes)}")
    if path.exists() and not overwrite:
        raise LncaError(f"{path} exists; add --overwrite to replace it")


def save_picture(picture: Image.Image, path: Path, stamp: Stamp = NEW) -> None:
    """Writes a picture, whole or not at all; the suffix, one of `SUFFIXES`, says which format.

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
    # Encoders have limits of their own.
    except (OSError, ValueError) as error:
        raise LncaError(f"cannot write {path}: {in_short(error, 120)}") from error
    write_whole(path, room.getbuffer(), stamp=stamp)

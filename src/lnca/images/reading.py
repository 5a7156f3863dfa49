"""Reads a picture file of any format, with its metadata."""

import os
from pathlib import Path
from typing import BinaryIO

from PIL import UnidentifiedImageError

from ..errors import LncaError, NotAPicture, in_short
from ..files import opened
from .exif import set_size
from .formats import format_of, other_kind
from .limits import PIXEL_LIMIT
from .photo import Photo


def open_photo(path: Path, pixel_limit: int = PIXEL_LIMIT) -> Photo:
    """Reads a picture file.

    Args:
        path: a file of one of `formats.ALL`.
        pixel_limit: largest number of pixels to decode, of all frames together.

    Raises:
        LncaError: the file is missing, empty, truncated, not a picture, over the limit, of an unsupported kind, or has
            a side shorter than 8 pixels.
    """
    with opened(path) as file:
        return read_photo(file, str(path), pixel_limit)


def read_photo(
    file: BinaryIO, name: str, pixel_limit: int = PIXEL_LIMIT, *, raw: bool = True, strict: bool = False
) -> Photo:
    """Like `open_photo`, for an open file that can seek; errors call it `name`. Damage is repaired or noted.

    Args:
        raw: a file without a suffix may be a camera's raw file.
        strict: refuse a file if parts of the picture may be wrong, as far as a single decoding shows; otherwise check
            it thoroughly, and note the damage.
    """
    if file.seek(0, os.SEEK_END) == 0:
        raise NotAPicture(f"{name} is empty; give a picture file")
    found = format_of(file, Path(name).suffix.lower(), raw)
    if found is None:
        raise NotAPicture(f"{name} is {other_kind(file) or 'not a picture in a format that is known here'}")
    try:
        file, damage = found.mend(file, name, pixel_limit, not strict)
        for each in damage:
            if strict and each.pixels:
                raise LncaError(f"{name} is broken: {each.text}; get a whole copy of it")
        photo = found.read(file, name, pixel_limit)
        set_size(photo)
        photo.notes[:0] = [each.text for each in damage]
        return photo
    except LncaError:
        raise
    except MemoryError as error:
        raise LncaError(f"{name} does not fit into memory") from error
    except UnidentifiedImageError as error:
        begins = f"it begins as {found.name} and goes on otherwise"
        raise LncaError(f"{name} is broken or truncated ({begins}); get a whole copy of it") from error
    # Any other error of a decoder means that the file is broken.
    except Exception as error:
        raise LncaError(f"{name} is broken or truncated ({in_short(error, 120)}); get a whole copy of it") from error

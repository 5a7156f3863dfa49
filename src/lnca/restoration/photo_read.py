"""Reading any picture file as a whole; what Pillow reads at its own depth is read here, the rest in `photo_deep`."""

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageOps, ImageSequence, UnidentifiedImageError

from ..errors import LncaError, NotAPicture, in_short
from .image_io import check_size, lazily_opened
from .limits import PIXEL_LIMIT
from .photo import Photo, exif_of, needed, xmp_of
from .photo_deep import TIFF_MAGIC, is_deep_tiff, is_raw, read_deep_png, read_deep_tiff, read_raw, scaled
from .pictures import GREY_16, MODES

RAW_SUFFIXES = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw")
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Pillow's formats that may hold several frames of one picture.
SEVERAL = ("GIF", "WEBP", "PNG", "TIFF")
# Pillow's kinds of 16-bit grey, and of what it makes of it.
DEEP_GREY = (GREY_16, "I;16B", "I;16L", "I")


def open_photo(path: Path, pixel_limit: int = PIXEL_LIMIT) -> Photo:
    """Reads a picture file.

    Args:
        path: JPEG, PNG, WebP, GIF, TIFF, BMP, or a camera's raw file.
        pixel_limit: the most pixels that are decoded, of all frames together.

    Raises:
        LncaError: missing, empty, truncated, no picture, over the limit, of a kind that is not handled, or with a side
            shorter than 8 pixels.
    """
    try:
        with path.open("rb") as file:
            return read_photo(file, str(path), pixel_limit)
    except FileNotFoundError as error:
        raise LncaError(f"{path} does not exist") from error
    except OSError as error:
        raise LncaError(f"{path} cannot be read: {error.strerror or error}") from error


def read_photo(file: BinaryIO, name: str, pixel_limit: int = PIXEL_LIMIT, raw: bool = True) -> Photo:
    """`open_photo` for an open file that can seek, which errors call `name`.

    Args:
        raw: a name without a suffix may be that of a camera's raw file.
    """
    if file.seek(0, os.SEEK_END) == 0:
        raise NotAPicture(f"{name} is empty; give a picture file")
    file.seek(0)
    head = file.read(26)
    file.seek(0)
    try:
        suffix = Path(name).suffix.lower()
        if suffix in RAW_SUFFIXES or (raw and not suffix and is_raw(file, head)):
            return read_raw(file, name, pixel_limit)
        # Bit depth and colour type of a PNG: Pillow makes 8 bits of all but grey.
        if head.startswith(PNG_MAGIC) and len(head) == 26 and head[24] == 16 and head[25] != 0:
            return read_deep_png(file, name, pixel_limit)
        if head.startswith(TIFF_MAGIC) and is_deep_tiff(file):
            return read_deep_tiff(file, name, pixel_limit)
        return _read_with_pillow(file, name, pixel_limit)
    except LncaError:
        raise
    except MemoryError as error:
        raise LncaError(f"{name} does not fit into memory") from error
    except UnidentifiedImageError as error:
        raise NotAPicture(f"{name} is not a picture in a format that is known here") from error
    # Whatever else a decoder raises, the file is not what it says it is.
    except Exception as error:
        raise LncaError(f"{name} is broken or truncated ({in_short(error, 120)}); get a whole copy of it") from error


def _read_with_pillow(file: BinaryIO, name: str, limit: int) -> Photo:
    with lazily_opened(file) as picture:
        kind = str(picture.format)
        if kind == "TIFF" and picture.mode not in DEEP_GREY and max(picture.tag_v2.get(258, (8,))) > 8:  # type: ignore[attr-defined]
            needed("tifffile", "colours of more than 8 bits in TIFF")
        check_size(*picture.size, name, limit)
        photo = Photo([], kind={"MPO": "JPEG"}.get(kind, kind))
        count = getattr(picture, "n_frames", 1) if kind in SEVERAL else 1
        pixels, durations = 0, []
        for frame in ImageSequence.Iterator(picture) if count > 1 else [picture]:
            pixels = check_size(*frame.size, name, limit, pixels)
            frame.load()
            if not photo.frames:
                photo.icc, photo.xmp, photo.exif = frame.info.get("icc_profile"), xmp_of(frame), exif_of(frame)
                photo.loop = frame.info.get("loop")
            photo.frames.append(_array_of(ImageOps.exif_transpose(frame), photo, name))
            durations.append(int(frame.info.get("duration", 0)))
        photo.durations = durations if count > 1 and any(durations) else []
        return scaled(photo, name)


def _array_of(picture: Image.Image, photo: Photo, name: str) -> np.ndarray:
    """One frame as it is; a palette becomes RGB or RGBA, black and white grey, CMYK RGB."""
    if picture.mode in DEEP_GREY:
        values = np.array(picture)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise LncaError(f"{name} has grey values of 32 bits; convert it to 16 bits or floating point first")
        return values.astype(np.uint16)
    if picture.mode == "F":
        return np.array(picture)
    if picture.mode not in MODES:
        raise LncaError(f"{name} has pixels of kind {picture.mode!r}; convert it to grey, RGB or RGBA first")
    if picture.mode == "CMYK":
        picture = _from_cmyk(picture, photo)
    elif picture.mode in ("P", "PA", "RGB") and picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode in ("P", "PA"):
        picture = picture.convert("RGB")
    elif picture.mode == "1":
        picture = picture.convert("L")
    return np.array(picture)


def _from_cmyk(picture: Image.Image, photo: Photo) -> Image.Image:
    """RGB, by the picture's colour profile where it has one that can be used."""
    photo.note("CMYK became RGB")
    profile, photo.icc = picture.info.get("icc_profile"), None
    if profile:
        try:
            converted = ImageCms.profileToProfile(
                picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass
    return picture.convert("RGB")

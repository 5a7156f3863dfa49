"""Reads and writes formats with Pillow: images as arrays, frame by frame."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from ..errors import LncaError, TooLarge
from .colours import from_cmyk
from .exif import ORIENTATION, describe, set_resolution, turn, xmp_bytes
from .limits import SMALLEST_SIDE
from .photo import Photo, in_colour, of_depth

# Modes of 8-bit PIL images; CMYK becomes RGB.
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK")
GREY_16 = "I;16"
# Pillow's modes of 16-bit grey, and the mode to which Pillow may convert it.
DEEP_GREY = (GREY_16, "I;16B", "I;16L", "I")
QUALITY = 95


@contextmanager
def lazily_opened(file: BinaryIO, kind: str | None = None) -> Iterator[Image.Image]:
    """Opens a file with Pillow, as the format `kind` if given. Check its size (`check_size`) before reading pixels:
    Pillow's own limit is off. Its warnings are off too, since everything that matters becomes an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        previous, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with Image.open(file, formats=None if kind is None else [kind]) as picture:
                yield picture
        finally:
            Image.MAX_IMAGE_PIXELS = previous


def check_size(width: int, height: int, name: str, pixel_limit: int, before: int = 0) -> int:
    """The number of pixels, including those of earlier frames (`before`).

    Raises:
        TooLarge: there are more pixels than the limit.
        LncaError: a side is shorter than 8 pixels.
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


def read_with_pillow(
    file: BinaryIO, name: str, limit: int, kind: str, several: bool = False, pixels: bool = True
) -> Photo:
    """Reads a picture with Pillow, with its EXIF, XMP, profile and resolution.

    Args:
        kind: Pillow's name of the format.
        several: read all frames, not only the first.
        pixels: decode the pixels; otherwise read only the metadata.
    """
    file.seek(0)
    with lazily_opened(file, kind) as picture:
        check_size(*picture.size, name, limit)
        photo = Photo([], kind=kind)
        if not pixels:
            _describe(picture, photo)
            return photo
        count = getattr(picture, "n_frames", 1) if several else 1
        seen, durations = 0, []
        for frame in ImageSequence.Iterator(picture) if count > 1 else [picture]:
            seen = check_size(*frame.size, name, limit, seen)
            frame.load()
            if not photo.frames:
                _describe(frame, photo)
            photo.frames.append(array_of(ImageOps.exif_transpose(frame), photo, name))
            durations.append(int(frame.info.get("duration", 0)))
        photo.durations = durations if count > 1 and any(durations) else []
        photo.cover = count > 1 and bool(getattr(picture, "default_image", False))
    return photo


def _describe(picture: Image.Image, photo: Photo) -> None:
    """Reads the metadata of an image."""
    photo.icc, photo.xmp = picture.info.get("icc_profile"), xmp_of(picture)
    photo.loop = picture.info.get("loop")
    content = picture.getexif()
    orientation = content.get(ORIENTATION, 1)
    describe(photo, content)
    set_resolution(photo, picture.info.get("dpi"))
    turn(photo.exif, orientation)


def xmp_of(picture: Image.Image) -> bytes | None:
    """The XMP of an image, without its orientation."""
    return xmp_bytes(picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp"))


def array_of(picture: Image.Image, photo: Photo, name: str) -> np.ndarray:
    """The current frame as an array; a palette becomes RGB or RGBA, black and white becomes grey, CMYK becomes RGB."""
    if picture.mode in DEEP_GREY:
        values = np.array(picture)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise LncaError(f"{name} has grey values of 32 bits; convert it to 16 bits or floating point first")
        clear = picture.info.get("transparency")
        grey = values.astype(np.uint16)
        if not isinstance(clear, int):
            return grey
        return np.stack([grey, np.where(grey == clear, 0, 65535).astype(np.uint16)], -1)
    if picture.mode == "F":
        return np.array(picture)
    if picture.mode not in MODES:
        raise LncaError(f"{name} has pixels of kind {picture.mode!r}; convert it to grey, RGB or RGBA first")
    if picture.mode == "CMYK":
        picture = from_cmyk(picture, photo)
    elif picture.mode in ("P", "PA", "RGB") and picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode in ("P", "PA"):
        picture = picture.convert("RGB")
    elif picture.mode in ("1", "L") and picture.has_transparency_data:
        picture = picture.convert("RGBA").convert("LA")
    elif picture.mode == "1":
        picture = picture.convert("L")
    return np.array(picture)


def images_of(photo: Photo, colour: bool = False) -> list[Image.Image]:
    """Frames of 8 bits or 16-bit grey as PIL images; `colour` converts grey to RGB for formats without grey."""
    frames = [in_colour(frame) if colour else frame for frame in photo.frames]
    return [
        Image.fromarray(frame if frame.dtype == np.uint16 and frame.ndim == 2 else of_depth(frame, np.uint8))
        for frame in frames
    ]


def save_with_pillow(images: list[Image.Image], file: BinaryIO, kind: str, **options: Any) -> None:
    """Writes frames with Pillow in the format `kind`, from the beginning of a file."""
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:]}
    images[0].save(file, kind, **options)


def rest_of(file: BinaryIO) -> bytes:
    """The whole content of a file."""
    file.seek(0, os.SEEK_SET)
    return file.read()

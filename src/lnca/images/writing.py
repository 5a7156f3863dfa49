"""Writes a picture file at its own bit depth, with its metadata; reports what the format cannot hold."""

import io
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import LncaError, in_short
from ..files import NEW, Stamp, write_whole
from .colours import grey_to_srgb, is_srgb, shown, space_of, to_srgb_profile, values_of
from .exif import GEO_TAGS
from .formats import BY_NAME, FORMATS, Format, Part
from .formats.record import left_out
from .photo import Photo, copy_of, has_alpha, in_grey, of_depth, one_grey, without_alpha

# First words of plural names.
PLURAL = ("comments", "channels", "attributes", "lines")


def save_photo(photo: Photo, path: Path, stamp: Stamp = NEW) -> list[str]:
    """Writes a picture file, whole or not at all; the suffix determines the format.

    The file is encoded in memory, since some encoders write to a file descriptor themselves and ignore a full disk.

    Args:
        stamp: permissions and times of the file.

    Returns:
        What the format could not hold, one phrase each.

    Raises:
        LncaError: the format has room for only one of several frames, or the file cannot be written.
    """
    room = io.BytesIO()
    notes = write_photo(photo, room, FORMATS[path.suffix.lower()], str(path))
    write_whole(path, room.getbuffer(), stamp=stamp)
    return notes


def write_photo(photo: Photo, file: BinaryIO, kind: str, name: str) -> list[str]:
    """Like `save_photo`, for an open file and the name of a format."""
    fmt = BY_NAME[kind]
    assert fmt.write is not None
    notes: list[str] = []
    fitting = _fitting(photo, fmt, name, notes)
    try:
        return notes + fmt.write(fitting, file)
    except LncaError:
        raise
    # Encoders have their own limits for sides and metadata.
    except Exception as error:
        raise LncaError(f"{name} cannot be written as {kind}: {in_short(error, 120)}") from error


def _fitting(photo: Photo, fmt: Format, name: str, notes: list[str]) -> Photo:
    """Reduces a picture to what a format can hold, and notes what was left out."""
    photo = replace(photo, frames=list(photo.frames))
    if photo.cover and fmt.name != "PNG":
        notes.append("the picture before the animation was left out")
        photo = replace(
            photo, frames=photo.frames[1:], durations=photo.durations[1:], pages=photo.pages[1:], cover=False
        )
    _check_frames(photo, fmt, name)
    if photo.animated and Part.ANIMATION not in fmt.keeps:
        notes.append("times and repetitions of the animation were left out")
    if len(photo.frames) > 1 and not photo.animated and Part.PAGES not in fmt.keeps:
        notes.append("pages became frames of an animation")
    if not fmt.any_values:
        photo = _for_display(photo, notes)
    if space_of(photo.icc) == "GRAY" and (fmt.colour_only or Part.ICC not in fmt.keeps):
        notes.append("grey with a profile of its own became sRGB")
        grey = [in_grey(frame) and not fmt.colour_only for frame in photo.frames]
        photo = grey_to_srgb(photo)
        photo.frames = [one_grey(frame) if was else frame for frame, was in zip(photo.frames, grey, strict=True)]
    if photo.icc and Part.ICC not in fmt.keeps and not is_srgb(photo.icc) and (converted := to_srgb_profile(photo)):
        notes.append("the colour profile was left out, and the colours became sRGB")
        photo = converted
    photo.frames = [_fitting_frame(frame, fmt, notes) for frame in photo.frames]
    missing = [*(photo.own if photo.kind != fmt.name else ()), *(part.value for part in left_out(photo, fmt))]
    if missing:
        notes.append(sentence(missing))
    photo.own = photo.own if photo.kind == fmt.name else {}
    if Part.GEO not in fmt.keeps and any(tag in photo.exif for tag in GEO_TAGS):
        photo.exif = copy_of(photo.exif)
        for tag in GEO_TAGS:
            photo.exif.pop(tag, None)
    return photo


def _check_frames(photo: Photo, fmt: Format, name: str) -> None:
    count = len(photo.frames)
    if count > 1 and not fmt.keeps & {Part.PAGES, Part.ANIMATION}:
        raise LncaError(f"{name} has room for one frame, not for {count}; write PNG, WebP, GIF or TIFF")
    if not fmt.frames_differ and len({frame.shape[:2] for frame in photo.frames}) > 1:
        raise LncaError(f"{name} has room for frames of one size; write TIFF")


def _for_display(photo: Photo, notes: list[str]) -> Photo:
    """Converts values to [0, 1] for display."""
    if photo.peak is not None:
        if photo.peak > 1:
            notes.append("light beyond white was cut off")
        return shown(photo)
    low, span = photo.scale
    if low == 0 and span < 1:
        frames = [values_of(photo, frame) if frame.dtype.kind == "f" else frame for frame in photo.frames]
        return replace(photo, frames=frames, scale=(0.0, 1.0))
    if (low, span) != (0.0, 1.0):
        notes.append(f"values from {low:g} to {low + span:g} became black to white")
    return photo


def _fitting_frame(frame: np.ndarray, fmt: Format, notes: list[str]) -> np.ndarray:
    """Converts a frame to a bit depth and channels that a format has."""

    def note(text: str) -> None:
        if text not in notes:
            notes.append(text)

    if has_alpha(frame) and Part.ALPHA not in fmt.keeps:
        note("transparency was left out")
        frame = without_alpha(frame)
    if frame.dtype == np.uint8 or Part.FLOAT in fmt.keeps:
        return frame
    was = "floating point" if frame.dtype.kind == "f" else "16 bits"
    if Part.DEEP not in fmt.keeps:
        note(f"{was} became 8")
        return of_depth(frame, np.uint8)
    if frame.dtype.kind == "f":
        note("floating point became 16 bits")
    return of_depth(frame, np.uint16)


def sentence(names: list[str]) -> str:
    """The sentence that says which parts were left out."""
    first, last = ", ".join(names[:-1]), names[-1]
    several = len(names) > 1 or last.partition(" ")[0] in PLURAL
    return f"{first + ' and ' if first else ''}{last} {'were' if several else 'was'} left out"

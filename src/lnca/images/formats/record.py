"""What a format of picture files is to the rest: one record."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import BinaryIO

import numpy as np

from ..colours import unlike_srgb
from ..damage import Damage, as_it_is
from ..exif import GEO_TAGS, X_RESOLUTION, tags_of
from ..photo import Photo, has_alpha


class Part(Enum):
    """What a picture file may hold beside 8-bit pixels; the value is its name in notes and tables."""

    DEEP = "16 bits"
    FLOAT = "floating point"
    ALPHA = "transparency"
    PAGES = "pages"
    ANIMATION = "animation"
    EXIF = "EXIF"
    XMP = "XMP"
    ICC = "the colour profile"
    IPTC = "IPTC"
    RESOLUTION = "the resolution"
    COMMENTS = "comments"
    SIGNAL = "what PNG says of its colours"
    GEO = "the place on the map (GeoTIFF)"


# Whether a picture has them; those that are nobody's pixels, and are left out where a format has no room for them.
BESIDE: dict[Part, Callable[[Photo], bool]] = {
    Part.EXIF: lambda photo: bool(tags_of(photo.exif)) or any(map(tags_of, photo.pages)),
    Part.XMP: lambda photo: photo.xmp is not None,
    Part.ICC: lambda photo: photo.icc is not None,
    Part.IPTC: lambda photo: photo.iptc is not None,
    Part.RESOLUTION: lambda photo: X_RESOLUTION in photo.exif,
    Part.COMMENTS: lambda photo: bool(photo.comments),
    Part.GEO: lambda photo: any(tag in GEO_TAGS for tag in photo.exif),
}
WITHIN: dict[Part, Callable[[Photo], bool]] = {
    Part.DEEP: lambda photo: any(frame.dtype == np.uint16 for frame in photo.frames),
    Part.FLOAT: lambda photo: any(frame.dtype.kind == "f" for frame in photo.frames),
    Part.ALPHA: lambda photo: any(map(has_alpha, photo.frames)),
    Part.PAGES: lambda photo: len(photo.frames) > 1 and not photo.animated,
    Part.ANIMATION: lambda photo: photo.animated,
}
DESCRIPTION = frozenset({Part.EXIF, Part.XMP, Part.ICC, Part.RESOLUTION})


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of picture files.

    Args:
        name: in capitals, as `Photo.kind` has it.
        suffixes: of its files, the usual one first.
        media: its media type.
        recognise: whether a file is of the format, by its first `HEAD` bytes.
        read: a picture, of an open file, the name that errors call it, and the most pixels.
        mend: the file as it is read, without what is damaged in it where that changes no pixel, and what was found; of
            an open file, its name, the most pixels, and whether to look for damage that shows by decoding alone.
        write: writes a picture that holds nothing but `keeps`, and gives what could not stay as it was; None where
            the format is only read.
        keeps: what of a picture is the same after writing and reading.
        signals: chunks of `Photo.signal` that are kept.
        library: what has to be installed beside the package; "" for nothing.
        coded: how colours are written: "the same", "with loss", "as the source was", "256 colours".
        frames_differ: frames may have sizes and depths of their own.
        colour_only: has no grey.
        any_values: holds floating point of any range, linear light among it.
    """

    name: str
    suffixes: tuple[str, ...]
    media: str
    recognise: Callable[[bytes], bool]
    read: Callable[[BinaryIO, str, int], Photo]
    mend: Callable[[BinaryIO, str, int, bool], tuple[BinaryIO, list[Damage]]] = as_it_is
    write: Callable[[Photo, BinaryIO], list[str]] | None = None
    keeps: frozenset[Part] = frozenset()
    signals: frozenset[str] = frozenset()
    library: str = ""
    coded: str = "the same"
    frames_differ: bool = False
    colour_only: bool = False
    any_values: bool = False


def left_out(photo: Photo, fmt: Format) -> list[Part]:
    """What goes with a picture and has no room in a format."""
    parts = [part for part, there in BESIDE.items() if part not in fmt.keeps and there(photo)]
    signal = {name: data for name, data in photo.signal.items() if name not in fmt.signals}
    return parts + ([Part.SIGNAL] if unlike_srgb(signal) else [])


# First bytes of a file that `Format.recognise` is shown.
HEAD = 64


def begins(*magics: bytes, at: int = 0) -> Callable[[bytes], bool]:
    """Recognises files that have one of some bytes at a place."""
    return lambda head: head[at:].startswith(magics)

"""The record of a format of picture files, its interface to the other modules."""

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
    """Parts of a picture file beside 8-bit pixels; the value is the name in notes and tables."""

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


# Whether a picture has a part; only parts that are not pixels, which are left out if a format has no room for them.
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
        name: name in capitals, as in `Photo.kind`.
        suffixes: suffixes of its files, the usual one first.
        media: media type.
        recognise: whether a file has the format, from its first `HEAD` bytes.
        read: reads a picture from an open file; takes its name for errors and the largest number of pixels.
        mend: repairs damage that changes no pixel; returns the repaired file and the damage. Takes an open file, its
            name, the largest number of pixels, and whether to look for damage that only decoding shows.
        write: writes a picture that has only the parts in `keeps`, and returns what it could not keep; None if the
            format is only read.
        keeps: parts of a picture that are the same after writing and reading.
        signals: chunks of `Photo.signal` that it keeps.
        library: the packages that the format needs; "" for none.
        coded: how colours are written: "the same", or what they lose, such as "lossy, quality 95".
        frames_differ: whether frames may have different sizes and depths.
        colour_only: whether it has no grey.
        any_values: whether it holds floating point of any range, such as linear light.
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
    """The parts of a picture for which a format has no room."""
    parts = [part for part, there in BESIDE.items() if part not in fmt.keeps and there(photo)]
    signal = {name: data for name, data in photo.signal.items() if name not in fmt.signals}
    return parts + ([Part.SIGNAL] if unlike_srgb(signal) else [])


# Number of bytes that `Format.recognise` gets.
HEAD = 64


def begins(*magics: bytes, at: int = 0) -> Callable[[bytes], bool]:
    """Returns a function that recognises files by bytes at a position."""
    return lambda head: head[at:].startswith(magics)

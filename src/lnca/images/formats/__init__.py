"""Formats of picture files, one record each. A new format is a module with a `Format`, and a line below."""

from typing import BinaryIO

from .avif import AVIF
from .bmp import BMP
from .gif import GIF
from .heic import HEIC
from .jpeg import JPEG
from .jpeg2000 import JP2
from .jpegxl import JXL
from .netpbm import PFM, PNM
from .openexr import EXR
from .png import PNG
from .radiance import HDR
from .raw import RAW, is_raw
from .record import HEAD, Format, Part
from .tga import TGA, is_tga
from .tiff import TIFF
from .webp import WEBP

# In the order in which a file is compared with them.
ALL: tuple[Format, ...] = (
    JPEG,
    PNG,
    WEBP,
    GIF,
    TIFF,
    BMP,
    AVIF,
    HEIC,
    JXL,
    JP2,
    EXR,
    HDR,
    PNM,
    PFM,
    TGA,
    RAW,
)
BY_NAME = {each.name: each for each in ALL}
# Names of the formats that can be written, by suffix.
FORMATS = {suffix: each.name for each in ALL if each.write is not None for suffix in each.suffixes}
READ_SUFFIXES = tuple(suffix for each in ALL for suffix in each.suffixes)
# First bytes of known formats that cannot be read.
OTHERS = {
    b"%PDF": "a PDF document; save its pages as pictures first",
    b"8BPS": "a Photoshop document; save it as TIFF or PNG first",
    b"gimp xcf": "a GIMP document; export it as TIFF or PNG first",
    b"<svg": "a drawing (SVG), which has no pixels; draw it to a PNG first",
    b"SIMPLE  =": "a FITS file; convert it to TIFF first",
    b"\x00\x00\x01\x00": "an icon (ICO); save one of its pictures as PNG first",
    b"qoif": "a QOI picture; convert it to PNG first",
    b"DDS ": "a texture (DDS); convert it to PNG first",
    b"II\xbc": "a JPEG XR picture; convert it to PNG or TIFF first",
    b"BPG\xfb": "a BPG picture; convert it to PNG first",
    b"\x1aE\xdf\xa3": "a film; lnca restore takes it by itself",
}
FILMS = (b"mp4", b"iso", b"M4V", b"qt  ", b"avc1", b"3gp", b"dash")


def format_of(file: BinaryIO, suffix: str, raw: bool = True) -> Format | None:
    """The format of a file, by its first bytes, or by its suffix for raw files and TGA.

    Args:
        raw: a file without a suffix may be a camera's raw file.
    """
    head = _head(file)
    if suffix in RAW.suffixes or (raw and not suffix and is_raw(file, head)):
        return RAW
    found = next((each for each in ALL if each.recognise(head)), None)
    if found is not None:
        return found
    return TGA if suffix in TGA.suffixes or is_tga(file) else None


def other_kind(file: BinaryIO) -> str | None:
    """The kind of a file that cannot be read, and what to do with it; None if unknown."""
    head = _head(file)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, what in OTHERS.items():
        if start.startswith(magic):
            return what
    if head[4:8] == b"ftyp" and head[8:12].startswith(FILMS):
        return "a film; lnca restore takes it by itself"
    return None


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    return head


__all__ = ["ALL", "BY_NAME", "FORMATS", "READ_SUFFIXES", "TIFF", "Format", "Part", "format_of", "other_kind"]

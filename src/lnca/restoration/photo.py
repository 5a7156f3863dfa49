"""What a picture file holds: frames at their own depth, and what goes with them."""

import importlib
import re
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import BinaryIO

import numpy as np
from PIL import Image

from ..errors import LncaError

ORIENTATION, SOFTWARE = 0x0112, 0x0131
XMP_ORIENTATION = re.compile(
    rb"""\s*tiff:Orientation\s*=\s*["'][^"']*["']|<tiff:Orientation>[^<]*</tiff:Orientation>"""
)
# Tags of the first directory that say something of the picture, not of how its pixels lie in the file: description,
# make, model, resolution, software, date, artist, copyright, and Windows's title, comment, author, keywords, subject.
DESCRIPTIVE = (
    0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x8298,
    0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F,
)  # fmt: skip
# Directories below the first: of the exposure, and of the place.
DIRECTORIES = (0x8769, 0x8825)
# A place in the file of yet another directory, which is nowhere else.
INTEROPERABILITY = 0xA005


@dataclass
class Photo:
    """What a picture file holds.

    Args:
        frames: arrays (H, W), (H, W, 2) with alpha, (H, W, 3) or (H, W, 4), uint8, uint16, or float32 in [0, 1]; more
            than one of animations and of files with several pages. They stand upright.
        exif: of EXIF and TIFF; without orientation.
        xmp, icc: XMP and the colour profile as they are in the file.
        durations: milliseconds of each frame of an animation; empty otherwise.
        loop: how often an animation is repeated, 0 for ever; None for once.
        scale: lowest value and range of a floating-point file whose values went beyond [0, 1].
        kind: Pillow's name of the file's format, as far as it can be written; TIFF for raw files.
        notes: what could not stay as it was, one phrase each.
    """

    frames: list[np.ndarray]
    exif: Image.Exif = field(default_factory=Image.Exif)
    xmp: bytes | None = None
    icc: bytes | None = None
    durations: list[int] = field(default_factory=list)
    loop: int | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    kind: str = "TIFF"
    notes: list[str] = field(default_factory=list)

    def restored(self, frames: list[np.ndarray], how: str) -> "Photo":
        """The same with other frames, and a tag that says how they were made."""
        exif = self.exif_copy()
        exif[SOFTWARE] = how
        return replace(self, frames=frames, exif=exif, notes=list(self.notes))

    def note(self, text: str) -> None:
        """Notes what could not stay as it was, once for all frames."""
        if text not in self.notes:
            self.notes.append(text)

    def exif_copy(self) -> Image.Exif:
        """EXIF that can be changed without changing this one's."""
        exif = Image.Exif()
        exif.load(self.exif.tobytes())
        return exif


def xmp_of(picture: Image.Image) -> bytes | None:
    return upright_xmp(picture.info.get("xmp") or picture.info.get("XML:com.adobe.xmp"))


def upright_xmp(xmp: str | bytes | None) -> bytes | None:
    """XMP without an orientation: the pixels stand upright already."""
    content = xmp.encode() if isinstance(xmp, str) else xmp
    return None if content is None else XMP_ORIENTATION.sub(b"", bytes(content))


def exif_of(picture: Image.Image) -> Image.Exif:
    """A copy without orientation, and without what describes how the pixels lie in a TIFF file."""
    return _descriptive(picture.getexif)


def exif_of_tiff(file: BinaryIO) -> Image.Exif:
    """`exif_of` for a file that begins as TIFF does, whatever its pixels are: TIFF itself and many raw files."""

    def directory() -> Image.Exif:
        file.seek(0)
        head = file.read(16)
        content = Image.Exif()
        content.endian, content.bigtiff = "<" if head[:2] == b"II" else ">", 43 in head[2:4]
        kind, place = ("Q", 8) if content.bigtiff else ("I", 4)
        content.load_from_fp(file, struct.unpack_from(content.endian + kind, head, place)[0])
        return content

    return _descriptive(directory)


def _descriptive(read: Callable[[], Image.Exif]) -> Image.Exif:
    exif = Image.Exif()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = read()
            kept = {tag: content[tag] for tag in content if tag in DESCRIPTIVE}
            exif.update(kept)
            for pointer in DIRECTORIES:
                directory = content.get_ifd(pointer)
                if directory:
                    exif.get_ifd(pointer).update({tag: directory[tag] for tag in directory if tag != INTEROPERABILITY})
            exif.tobytes()
    # What cannot be written again is left out rather than the picture refused.
    except Exception:
        return Image.Exif()
    return exif


def needed(module: str, what: str) -> ModuleType:
    """An optional library; raises `LncaError` that says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LncaError(f"{what} need {module}: pip install 'lnca[io]'") from error

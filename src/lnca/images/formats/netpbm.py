"""Netpbm: PBM, PGM, PPM and PAM with integers, PFM with floating point."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from ...errors import LncaError
from ..colours import values_of
from ..photo import Photo, as_floats, full_range, needed, no_alpha
from ..pillow import check_size, rest_of
from ..ranges import scaled
from .jpeg import COMMENT, comment_of
from .record import HEAD, Format, Part

KINDS = {1: "GRAYSCALE", 2: "GRAYSCALE_ALPHA", 3: "RGB", 4: "RGB_ALPHA"}
COMMENTS = rb"(?m)^#[ \t]?([^\n\r]*)"


def recogniser(kinds: bytes) -> Callable[[bytes], bool]:
    """Recognises a P, one of `kinds`, and then a number, a comment or a word of PAM, which few texts have there."""
    start = rb"P[%s]4?(\s*#|\s+\d|(?<=7)\s*\n\s*[A-Z])" % kinds
    return lambda head: re.match(start, head) is not None


WHOLE, FLOATING = b"1-7", b"Ff"
ANY = recogniser(WHOLE + FLOATING)


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    library = needed("netpbmfile", "Netpbm pictures")
    content = rest_of(file)
    photo, at, pixels = Photo([]), 0, 0
    # A file may contain several pictures, one after the other.
    while not photo.frames or ANY(content[at : at + HEAD]):
        with library.NetpbmFile(io.BytesIO(content[at:])) as found:
            pixels = check_size(found.width, found.height, name, limit, pixels)
            end = at + _size(found, len(content) - at)
        if end > len(content):
            raise LncaError(f"{name} is broken or truncated (too few pixels); get a whole copy of it")
        with library.NetpbmFile(io.BytesIO(content[at:end])) as found:
            photo.kind = "PFM" if found.magicnumber[:2] in ("PF", "Pf") else "PNM"
            photo.frames.append(_frame(found, photo, name))
            _take_comments(content[at : at + found.dataoffset], photo)
        at = end
    if content[at:].strip():
        photo.note("data behind the picture were left out")
    return scaled(photo, name)


def _size(found: Any, most: int) -> int:
    """Number of bytes of a picture with its header; the whole file for pictures in decimal digits."""
    if found.magicnumber in ("P1", "P2", "P3"):
        return most
    if found.depth not in KINDS:
        return int(found.dataoffset)
    row = -(-found.width // 8) if found.magicnumber == "P4" else found.width * found.depth * found.dtype.itemsize
    return int(found.dataoffset + row * found.height)


def _frame(found: Any, photo: Photo, name: str) -> np.ndarray:
    if found.depth not in KINDS:
        raise LncaError(f"{name} has {found.depth} channels; keep 1 to 4 of them")
    values = np.asarray(found.asarray())
    shape = (found.height, found.width) + ((found.depth,) if found.depth > 1 else ())
    if values.size < np.prod(shape):
        raise LncaError(f"{name} is broken or truncated (too few pixels); get a whole copy of it")
    values = values.ravel()[: np.prod(shape)].reshape(shape)
    if found.magicnumber == "P7" and found.depth in (2, 4) and not str(found.tupltype).endswith("ALPHA"):
        raise LncaError(no_alpha(name, found.depth))
    if photo.kind == "PFM":
        # The first row is the bottom one.
        return np.ascontiguousarray(values[::-1], np.float32)
    if found.magicnumber in ("P1", "P4"):
        return np.where(values, 0, 255).astype(np.uint8)
    white = 1 if values.dtype.kind == "b" else int(found.maxval)
    if white not in (1, 255, 65535):
        photo.note(f"values up to {white} became {'8' if white < 256 else '16'} bits")
    return full_range(values.astype(np.uint16), white)


def _take_comments(head: bytes, photo: Photo) -> None:
    lines = [line.decode("utf-8", "surrogateescape") for line in re.findall(COMMENTS, head)]
    if lines:
        photo.comments[COMMENT] = "\n".join(filter(None, (photo.comments.get(COMMENT), *lines)))


def write(photo: Photo, file: BinaryIO) -> list[str]:
    for number, frame in enumerate(photo.frames):
        channels = 1 if frame.ndim == 2 else frame.shape[2]
        white = np.iinfo(frame.dtype).max
        height, width = frame.shape[:2]
        comments = b"" if number else b"".join(_comments(photo))
        if channels in (2, 4):
            size = b"WIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\n" % (width, height, channels, white)
            file.write(b"P7\n" + comments + size + b"TUPLTYPE " + KINDS[channels].encode() + b"\nENDHDR\n")
        else:
            kind = b"P5\n" if channels == 1 else b"P6\n"
            file.write(kind + comments + b"%d %d\n%d\n" % (width, height, white))
        file.write(frame.astype(">u2" if white > 255 else "u1").tobytes())
    return []


def _comments(photo: Photo) -> Iterator[bytes]:
    text = comment_of(photo) if photo.comments else ""
    for line in text.splitlines():
        yield b"# " + line.encode("utf-8", "surrogateescape") + b"\n"


def write_floats(photo: Photo, file: BinaryIO) -> list[str]:
    frame = photo.frames[0]
    frame = as_floats(frame) if frame.dtype.kind == "u" else values_of(photo, frame)
    height, width = frame.shape[:2]
    file.write((b"Pf" if frame.ndim == 2 else b"PF") + b"\n%d %d\n-1.0\n" % (width, height))
    # The first row is the bottom one.
    file.write(frame[::-1].astype("<f4").tobytes())
    return []


PNM = Format(
    name="PNM",
    suffixes=(".ppm", ".pgm", ".pbm", ".pnm", ".pam"),
    media="image/x-portable-anymap",
    recognise=recogniser(WHOLE),
    read=read,
    write=write,
    keeps=frozenset({Part.DEEP, Part.ALPHA, Part.PAGES, Part.COMMENTS}),
    library="netpbmfile",
    frames_differ=True,
)
PFM = Format(
    name="PFM",
    suffixes=(".pfm",),
    media="image/x-portable-floatmap",
    recognise=recogniser(FLOATING),
    read=read,
    write=write_floats,
    keeps=frozenset({Part.FLOAT}),
    library="netpbmfile",
    any_values=True,
)

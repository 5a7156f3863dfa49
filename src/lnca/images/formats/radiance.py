"""Radiance HDR: linear light, with one exponent for three colours."""

import re
from typing import BinaryIO

import numpy as np

from ...errors import LncaError
from ..colours import from_light, from_srgb, values_of
from ..photo import Photo, as_floats, in_colour, needed
from ..pillow import check_size, rest_of
from .record import Format, Part, begins

HEADER = "lines in the header of Radiance HDR"
SIZE = re.compile(rb"^([-+])([XY]) +(\d+) +([-+])([XY]) +(\d+) *$", re.M)
KIND, RGBE = b"FORMAT=", b"32-bit_rle_rgbe"
MOST_HEADER = 2**16


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    content = rest_of(file)
    lines, size = _header(content, name)
    if (size[1], size[2], size[4], size[5]) != (b"-", b"Y", b"+", b"X"):
        raise LncaError(f"{name} has its rows another way round; turn it upright first")
    check_size(int(size[6]), int(size[3]), name, limit)
    if any(line.startswith(KIND) and not line.endswith(RGBE) for line in lines):
        raise LncaError(f"{name} has colours of kind XYZ; convert it to RGB first")
    values = needed("imagecodecs", "Radiance HDR pictures").rgbe_decode(content)
    photo = Photo([np.ascontiguousarray(values, np.float32)], kind="HDR")
    told = [line for line in lines if line and not line.startswith((b"#?", KIND))]
    if told:
        photo.own[HEADER] = told
    return from_light(photo, name)


def _header(content: bytes, name: str) -> tuple[list[bytes], "re.Match[bytes]"]:
    """The lines of a header, and its line with the size."""
    head, found, rest = content[:MOST_HEADER].partition(b"\n\n")
    size = SIZE.match(rest)
    if not found or size is None:
        raise LncaError(f"{name} is broken or truncated (its header has no size); get a whole copy of it")
    return head.split(b"\n"), size


def write(photo: Photo, file: BinaryIO) -> list[str]:
    frame = in_colour(photo.frames[0])
    values = from_srgb(as_floats(frame)) if frame.dtype.kind == "u" else values_of(photo, frame)
    # The encoder truncates to the unit of a pixel's exponent.
    brightest = values.max(-1, keepdims=True)
    values = values + np.where(brightest > 0, np.exp2(np.frexp(brightest)[1] - 9.0), 0)
    height, width = values.shape[:2]
    pixels = needed("imagecodecs", "Radiance HDR pictures").rgbe_encode(
        np.ascontiguousarray(values, np.float32), header=True, rle=8 <= width < 2**15
    )
    _, size = _header(pixels, "the picture")
    lines = [b"#?RADIANCE", *photo.own.get(HEADER, []), KIND + RGBE]
    body = pixels.partition(b"\n\n")[2][size.end() + 1 :]
    file.write(b"\n".join(lines) + b"\n\n" + b"-Y %d +X %d\n" % (height, width) + body)
    return [] if photo.kind == "HDR" else ["colours got 8 bits each and a common exponent"]


HDR = Format(
    name="HDR",
    suffixes=(".hdr", ".pic", ".rgbe"),
    media="image/vnd.radiance",
    recognise=begins(b"#?RADIANCE", b"#?RGBE"),
    read=read,
    write=write,
    keeps=frozenset({Part.FLOAT}),
    library="imagecodecs",
    coded="8 bits a colour and a shared exponent",
    colour_only=True,
    any_values=True,
)

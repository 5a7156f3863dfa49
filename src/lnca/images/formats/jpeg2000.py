"""JPEG 2000: read by Pillow, written and with more than 8 bits read by imagecodecs; metadata from its ISO boxes."""

import io
import struct
from typing import BinaryIO

import numpy as np
from PIL import Image

from ...errors import LncaError
from ..colours import divided
from ..containers import Box, box, boxes, inner
from ..exif import describe, is_empty, resolution_of, xmp_bytes
from ..photo import Photo, full_range, has_alpha, needed, no_alpha
from ..pillow import check_size, read_with_pillow, rest_of
from .record import DESCRIPTION, Format, Part, begins

CODESTREAM, CONTAINER = b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"
EXIF = b"JpgTiffExif->JP2"
XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IPTC = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
GEO = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")
# Boxes that belong to the picture itself.
KNOWN = (b"jP  ", b"ftyp", b"jp2h", b"jp2c", b"free")
RESTRICTED, ANY_PROFILE = 2, 3
# Types of channels in the box `cdef`.
OPACITY, PREMULTIPLIED = 1, 2


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    content = rest_of(file)
    width, height, bits, signed = _size(content)
    check_size(width, height, name, limit)
    if signed:
        raise LncaError(f"{name} is a JPEG 2000 of values with a sign; convert it to 8 or 16 bits first")
    photo = read_with_pillow(io.BytesIO(content), name, limit, "JPEG2000", pixels=bits == 8)
    photo.kind = "JP2"
    if bits != 8:
        values = needed("imagecodecs", "JPEG 2000 pictures of other than 8 bits").jpeg2k_decode(content)
        photo.frames = [full_range(np.ascontiguousarray(values), 2**bits - 1)]
        check_size(photo.frames[0].shape[1], photo.frames[0].shape[0], name, limit)
        if bits != 16:
            photo.note(f"{bits} bits became {8 * photo.frames[0].itemsize}")
    if content.startswith(CONTAINER):
        for each in boxes(content):
            _take(each, photo)
    _check_alpha(content, photo, name)
    return photo


def _check_alpha(content: bytes, photo: Photo, name: str) -> None:
    """Raises `LncaError` if no box `cdef` says that the last channel is alpha."""
    frame = photo.frames[0]
    if not has_alpha(frame):
        return
    told = inner(content, b"jp2h", b"cdef") if content.startswith(CONTAINER) else None
    kinds = () if told is None else struct.unpack_from(f">{len(told.data[2:]) // 2}H", told.data, 2)[1::3]
    if PREMULTIPLIED in kinds:
        photo.note("associated alpha became unassociated")
        photo.frames = [divided(frame)]
    elif OPACITY not in kinds:
        raise LncaError(no_alpha(name, frame.shape[2]))


def _size(content: bytes) -> tuple[int, int, int, bool]:
    """Width, height, bits and sign of the first component, from the codestream's marker SIZ; raises `struct.error`
    without one. The container repeats these values, but may be wrong."""
    at = content.index(CODESTREAM)
    right, bottom, left, top = struct.unpack_from(">4I", content, at + 8)
    (depth,) = struct.unpack_from("B", content, at + 42)
    return right - left, bottom - top, (depth & 0x7F) + 1, bool(depth & 0x80)


def _take(each: Box, photo: Photo) -> None:
    """Reads from a box what Pillow does not read, and notes boxes that are left out."""
    kind, data, _ = each
    if kind == b"jp2h":
        colours = [inside.data for inside in boxes(data) if inside.kind == b"colr"]
        photo.icc = next((one[3:] for one in colours if one[:1] and one[0] in (RESTRICTED, ANY_PROFILE)), None)
    elif kind == b"uuid" and data.startswith(EXIF):
        resolution = photo.exif
        content = Image.Exif()
        content.load(data[16:])
        describe(photo, content)
        for tag in resolution:
            photo.exif.setdefault(tag, resolution[tag])
    elif kind == b"uuid" and data.startswith(XMP):
        photo.xmp = xmp_bytes(data[16:])
    elif kind == b"uuid" and data.startswith(IPTC):
        photo.iptc = data[16:]
    elif kind == b"uuid" and data.startswith(GEO):
        photo.note("the place on the map (GeoJP2) was left out")
    elif kind not in KNOWN:
        photo.note(f"the box {kind.decode('latin-1').strip()} was left out")


def write(photo: Photo, file: BinaryIO) -> list[str]:
    frame = np.ascontiguousarray(photo.frames[0])
    codecs = needed("imagecodecs", "JPEG 2000 pictures")
    content = codecs.jpeg2k_encode(frame, level=0, reversible=True, codecformat="jp2")
    parts = list(boxes(content))
    for each in parts:
        if each.kind == b"jp2h":
            file.write(box(b"jp2h", _header(each.data, photo)))
            _write_beside(photo, file)
        else:
            file.write(each.tobytes())
    return []


def _header(data: bytes, photo: Photo) -> bytes:
    """The boxes of the header, with the profile instead of the enumerated colour space, and the resolution."""
    parts = []
    for each in boxes(data):
        profile = each.kind == b"colr" and photo.icc
        parts.append(box(b"colr", bytes((RESTRICTED, 0, 0)) + photo.icc) if profile and photo.icc else each.tobytes())
    frame = photo.frames[0]
    if has_alpha(frame):
        colours = [(channel, 0, channel + 1) for channel in range(frame.shape[2] - 1)]
        told = [*colours, (len(colours), OPACITY, 0)]
        parts.append(box(b"cdef", struct.pack(">H", len(told)) + b"".join(struct.pack(">3H", *each) for each in told)))
    if dpi := resolution_of(photo.exif):
        # Pixels a metre as fractions, vertical before horizontal.
        across, down = (round(each / 0.0254 * 100) for each in dpi)
        parts.append(box(b"res ", box(b"resc", struct.pack(">HHHHbb", *_fraction(down), *_fraction(across), 0, 0))))
    return b"".join(parts)


def _fraction(hundredths: int) -> tuple[int, int]:
    """Numerator and denominator, of 16 bits each."""
    for denominator in (100, 10, 1):
        if hundredths * denominator // 100 < 2**16:
            return hundredths * denominator // 100, denominator
    return 2**16 - 1, 1


def _write_beside(photo: Photo, file: BinaryIO) -> None:
    if not is_empty(photo.exif):
        file.write(box(b"uuid", EXIF + photo.exif.tobytes().removeprefix(b"Exif\0\0")))
    if photo.xmp:
        file.write(box(b"uuid", XMP + photo.xmp))
    if photo.iptc:
        file.write(box(b"uuid", IPTC + photo.iptc))


JP2 = Format(
    name="JP2",
    suffixes=(".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
    media="image/jp2",
    recognise=begins(CODESTREAM, CONTAINER),
    read=read,
    write=write,
    keeps=DESCRIPTION | {Part.DEEP, Part.ALPHA, Part.IPTC},
    library="imagecodecs (to write, and for more than 8 bits)",
)

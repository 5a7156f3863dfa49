"""JPEG, and the first picture of MPO files from phones."""

import io
import struct
from typing import Any, BinaryIO

from PIL import Image, JpegImagePlugin

from ...errors import LncaError
from ..containers import Jpeg, Segment, jpeg_of
from ..damage import mended_jpeg
from ..exif import ORIENTATION, resolution_of, without_claims
from ..photo import JpegCoding, Photo
from ..pillow import QUALITY, check_size, images_of, lazily_opened, read_with_pillow, rest_of, save_with_pillow
from .record import DESCRIPTION, Format, Part, begins

COMMENT = "Comment"
PHOTOSHOP = b"Photoshop 3.0\0"
XMP, MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
# Segments that are read or describe the coding, by marker and first bytes.
KNOWN: dict[int, tuple[bytes, ...]] = {
    0xE0: (b"JFIF\0", b"JFXX\0"),
    0xE1: (b"Exif\0", XMP),
    0xE2: (b"ICC_PROFILE\0",),
    0xED: (PHOTOSHOP,),
    0xEE: (b"Adobe",),
    0xFE: (b"",),
}
# Names of other segments, which are left out, by their first bytes; XMP refers to the first two.
FURTHER, MORE, FILM = (
    "further pictures, such as a gain map, were left out",
    "XMP beyond 64 kB was left out",
    "the film behind the picture was left out",
)
OTHERS = {
    b"MPF\0": FURTHER,
    MORE_XMP: MORE,
    b"JP": "signed claims (C2PA) were left out",
    b"urn:iso:std:iso:ts:21496": FURTHER,
}
FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF)
SAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    content = rest_of(file)
    parts = jpeg_of(content)
    _check(parts, name, limit)
    photo = Photo([])
    if parts.end is not None and parts.end < len(content):
        _behind(content[parts.end :], photo)
    found = read_with_pillow(io.BytesIO(content), name, limit, "JPEG")
    found.notes = photo.notes + found.notes
    _set_coding(content, found)
    for segment in parts.segments:
        _take(segment, found)
    if {FURTHER, MORE, FILM} & set(found.notes):
        found.xmp = without_claims(found.xmp)
    return found


def _check(parts: Jpeg, name: str, limit: int) -> None:
    """Raises `LncaError` for sizes and kinds of JPEG that are not supported."""
    for marker, data in parts.segments:
        if marker in FRAMES and data[:1] not in (b"", b"\x08"):
            raise LncaError(f"{name} is a JPEG of {data[0]} bits; convert it to 16-bit PNG or TIFF first")
        if marker in FRAMES and len(data) >= 5:
            height, width = struct.unpack_from(">HH", data, 1)
            check_size(width, height, name, limit)
        if marker in LOSSLESS:
            raise LncaError(f"{name} is a lossless JPEG; convert it to PNG or TIFF first")


def _behind(rest: bytes, photo: Photo) -> None:
    """Notes data after the picture: other pictures or a film, but not padding."""
    if not rest.strip(b"\0\xff"):
        return
    if b"ftyp" in rest[:64] or b"MotionPhoto_Data" in rest:
        photo.note(FILM)
    elif rest.lstrip(b"\0").startswith(b"\xff\xd8"):
        photo.note(FURTHER)
    else:
        photo.note("data behind the picture were left out")


def _set_coding(content: bytes, photo: Photo) -> None:
    with lazily_opened(io.BytesIO(content), "JPEG") as picture:
        tables = {number: list(table) for number, table in picture.quantization.items()}  # type: ignore[attr-defined]
        sampling = SAMPLINGS.get(JpegImagePlugin.get_sampling(picture), "4:4:4")
        turned = int(picture.getexif().get(ORIENTATION, 1)) >= 5
        photo.sampling = "4:4:4" if sampling == "4:2:2" and turned else sampling
        photo.jpeg = JpegCoding(tables, bool(picture.info.get("progressive")))


def _take(segment: Segment, photo: Photo) -> None:
    """Reads from a segment what Pillow does not read, and notes segments that are left out."""
    marker, data = segment
    if marker == 0xFE:
        text = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
        photo.comments[COMMENT] = "\n".join(filter(None, (photo.comments.get(COMMENT), text)))
    elif marker == 0xED and data.startswith(PHOTOSHOP):
        photo.iptc = (photo.iptc or b"") + data[len(PHOTOSHOP) :]
    elif 0xE0 <= marker <= 0xEF and not data.startswith(KNOWN.get(marker, ())):
        unknown = f"a segment APP{marker - 0xE0} that is not known here was left out"
        photo.note(next((what for magic, what in OTHERS.items() if data.startswith(magic)), unknown))


def write(photo: Photo, file: BinaryIO) -> list[str]:
    (image,) = images_of(photo)
    options: dict[str, Any] = {"exif": photo.exif, "quality": QUALITY, "subsampling": photo.sampling or "4:4:4"}
    if photo.jpeg is not None:
        options["progressive"] = photo.jpeg.progressive
        options["qtables"] = _finer(photo.jpeg, image.mode)
        del options["quality"]
    if photo.icc:
        options["icc_profile"] = photo.icc
    if photo.xmp:
        options["xmp"] = photo.xmp
    if photo.comments:
        options["comment"] = comment_of(photo).encode("utf-8", "surrogateescape")
    if dpi := resolution_of(photo.exif):
        options["dpi"] = tuple(round(each) for each in dpi)
    if photo.iptc:
        options["extra"] = _segments(0xED, PHOTOSHOP, photo.iptc)
    save_with_pillow([image], file, "JPEG", **options)
    return []


def comment_of(photo: Photo) -> str:
    """All comments as one text."""
    return "\n".join(text if key == COMMENT else f"{key}: {text}" for key, text in photo.comments.items())


def _finer(source: JpegCoding, mode: str) -> list[list[int]]:
    """Quantisation tables that are no coarser than those of the source and those of `QUALITY`."""
    room = io.BytesIO()
    Image.new(mode, (8, 8)).save(room, "JPEG", quality=QUALITY)
    own = JpegImagePlugin.JpegImageFile(io.BytesIO(room.getvalue())).quantization
    last = source.tables[max(source.tables)]
    return [
        [min(pair) for pair in zip(table, source.tables.get(number, last), strict=True)]
        for number, table in own.items()
    ]


def _segments(marker: int, head: bytes, data: bytes) -> bytes:
    """Splits data into as many segments as they need."""
    most = 65533 - len(head)
    parts = [head + data[at : at + most] for at in range(0, len(data), most)]
    return b"".join(bytes((0xFF, marker)) + (len(part) + 2).to_bytes(2, "big") + part for part in parts)


JPEG = Format(
    name="JPEG",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
    media="image/jpeg",
    recognise=begins(b"\xff\xd8\xff"),
    read=read,
    mend=mended_jpeg,
    write=write,
    keeps=DESCRIPTION | {Part.IPTC, Part.COMMENTS},
    coded="lossy, quality 95, or finer if the source is",
)

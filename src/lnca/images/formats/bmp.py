"""BMP."""

import struct
from typing import Any, BinaryIO

from ..exif import resolution_of
from ..photo import Photo
from ..pillow import images_of, read_with_pillow, rest_of, save_with_pillow
from .record import Format, Part

# Header version 5: positions of the colour space, and of offset and size of a profile.
FILE_HEAD, VERSION_5, KIND, PLACE = 14, 124, 56, 112
HEADS = (12, 16, 40, 52, 56, 64, 108, VERSION_5)
EMBEDDED = b"DEBM"


def recognise(head: bytes) -> bool:
    """Recognises a file by its two letters, which a text may begin with too, and by the size of its header."""
    return head.startswith(b"BM") and int.from_bytes(head[FILE_HEAD : FILE_HEAD + 4], "little") in HEADS


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    photo = read_with_pillow(file, name, limit, "BMP")
    head = rest_of(file)
    if len(head) > FILE_HEAD + VERSION_5 and struct.unpack_from("<I", head, FILE_HEAD)[0] >= VERSION_5:
        place, size = struct.unpack_from("<II", head, FILE_HEAD + PLACE)
        profile = head[FILE_HEAD + place : FILE_HEAD + place + size]
        if head[FILE_HEAD + KIND :].startswith(EMBEDDED) and len(profile) == size > 0:
            photo.icc = profile
    return photo


def write(photo: Photo, file: BinaryIO) -> list[str]:
    options: dict[str, Any] = {}
    if dpi := resolution_of(photo.exif):
        options["dpi"] = dpi
    save_with_pillow(images_of(photo), file, "BMP", **options)
    return []


BMP = Format(
    name="BMP",
    suffixes=(".bmp", ".dib"),
    media="image/bmp",
    recognise=recognise,
    read=read,
    write=write,
    keeps=frozenset({Part.RESOLUTION}),
)

"""TGA, which has no signature at its beginning: files are recognised by their suffix or their end."""

import os
from typing import Any, BinaryIO

from ..photo import Photo, has_alpha, without_alpha
from ..pillow import images_of, lazily_opened, read_with_pillow, save_with_pillow
from .jpeg import COMMENT, comment_of
from .record import Format, Part

FOOTER = b"TRUEVISION-XFILE.\0"
FOOTER_SIZE = 26
MOST_COMMENT = 255
# Position of the number of alpha bits in the header.
DESCRIPTOR, ALPHA_BITS = 17, 0x0F


def is_tga(file: BinaryIO) -> bool:
    """Whether a file ends like version 2 of TGA."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - FOOTER_SIZE))
    found = file.read().endswith(FOOTER)
    file.seek(0)
    return found


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    photo = read_with_pillow(file, name, limit, "TGA")
    file.seek(DESCRIPTOR)
    if not file.read(1)[0] & ALPHA_BITS and any(map(has_alpha, photo.frames)):
        photo.note("the fourth channel, which is not said to be alpha, was left out")
        photo.frames = [without_alpha(frame) for frame in photo.frames]
    file.seek(0)
    with lazily_opened(file, "TGA") as picture:
        text = picture.info.get("id_section", b"").rstrip(b"\0").decode("utf-8", "surrogateescape")
    if text:
        photo.comments[COMMENT] = text
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - FOOTER_SIZE))
    footer = file.read(FOOTER_SIZE)
    if footer.endswith(FOOTER) and any(footer[:8]):
        photo.note("the extension of TGA was left out")
    return photo


def write(photo: Photo, file: BinaryIO) -> list[str]:
    options: dict[str, Any] = {"compression": "tga_rle"}
    notes = []
    if photo.comments:
        text = comment_of(photo).encode("utf-8", "surrogateescape")
        options["id_section"] = text[:MOST_COMMENT]
        if len(text) > MOST_COMMENT:
            notes.append(f"the comment was cut to {MOST_COMMENT} bytes")
    save_with_pillow(images_of(photo), file, "TGA", **options)
    return notes


TGA = Format(
    name="TGA",
    suffixes=(".tga", ".targa", ".icb", ".vda", ".vst"),
    media="image/x-tga",
    recognise=lambda head: False,
    read=read,
    write=write,
    keeps=frozenset({Part.ALPHA, Part.COMMENTS}),
)

"""WebP, still and animated."""

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..photo import Photo, has_alpha, without_alpha
from ..pillow import QUALITY, images_of, read_with_pillow, rest_of, save_with_pillow
from .record import DESCRIPTION, Format, Part

KNOWN = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP ")
# Bytes of a frame's chunk before the chunks inside it.
FRAME_HEAD = 16


# Flags in the chunk VP8X, the first chunk of files with more than pixels: position, and bits of animation and alpha.
EXTENDED, FLAGS, ANIMATED, SEE_THROUGH = b"VP8X", 20, 0x02, 0x10


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    content = rest_of(file)
    # Around frames that are smaller than the animation, pixels are transparent even without the alpha flag.
    moving = content[12:16] == EXTENDED and content[FLAGS : FLAGS + 1] and content[FLAGS] & ANIMATED
    photo = read_with_pillow(io.BytesIO(_see_through(content) if moving else content), name, limit, "WEBP", True)
    if moving and all((frame[..., -1] == 255).all() for frame in photo.frames if has_alpha(frame)):
        photo.frames = [without_alpha(frame) for frame in photo.frames]
    coded = set()
    for kind, data in _chunks(content[12:]):
        if kind not in KNOWN:
            photo.note(f"the chunk {kind.decode('latin-1').strip()} was left out")
        inside = dict(_chunks(data[FRAME_HEAD:])) if kind == b"ANMF" else {kind: data}
        coded |= inside.keys() & {b"VP8 ", b"VP8L"}
    photo.lossless = coded == {b"VP8L"}
    return photo


def _see_through(content: bytes) -> bytes:
    """Sets the alpha flag of a file."""
    return content[:FLAGS] + bytes((content[FLAGS] | SEE_THROUGH,)) + content[FLAGS + 1 :]


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from("<4sI", content, at)
        yield kind, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def write(photo: Photo, file: BinaryIO) -> list[str]:
    # Lossless files keep the colours of transparent pixels too.
    options: dict[str, Any] = {"quality": QUALITY, "lossless": photo.lossless, "exact": photo.lossless}
    options |= {"exif": photo.exif, "icc_profile": photo.icc or b"", "xmp": photo.xmp or b""}
    if len(photo.frames) > 1:
        options |= {"loop": 1 if photo.loop is None else photo.loop, "duration": photo.durations or 0}
    room = io.BytesIO()
    save_with_pillow(images_of(photo, colour=True), room, "WEBP", **options)
    content = room.getvalue()
    # The encoder omits the flag if all pixels of a frame are opaque.
    several = len(photo.frames) > 1 and any(map(has_alpha, photo.frames)) and content[12:16] == EXTENDED
    file.write(_see_through(content) if several else content)
    return []


WEBP = Format(
    name="WEBP",
    suffixes=(".webp",),
    media="image/webp",
    recognise=lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP",
    read=read,
    write=write,
    keeps=DESCRIPTION | {Part.ALPHA, Part.ANIMATION},
    coded="lossy, quality 95, unless the source is lossless WebP",
    colour_only=True,
)

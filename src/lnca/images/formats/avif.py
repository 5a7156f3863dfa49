"""AVIF, still and animated: read and written by Pillow; more than 8 bits read by imagecodecs."""

import io
from typing import Any, BinaryIO

import numpy as np

from ..containers import Box, boxes, inner
from ..exif import ORIENTATION
from ..photo import Photo, full_range, needed, upright
from ..pillow import QUALITY, images_of, lazily_opened, read_with_pillow, rest_of, save_with_pillow
from .record import DESCRIPTION, Format, Part

BRANDS = (b"avif", b"avis")
UNSPECIFIED = 2


def recognise(head: bytes) -> bool:
    """Recognises a file by its main brand or its compatible brands."""
    return head[4:8] == b"ftyp" and (head[8:12] in BRANDS or b"avif" in head[16 : head[3]])


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    content = rest_of(file)
    properties = list(_properties(content))
    bits, sampling = _coding(properties)
    photo = read_with_pillow(io.BytesIO(content), name, limit, "AVIF", True, pixels=bits == 8)
    if bits > 8:
        photo.frames = _deep_frames(content, bits, photo)
    photo.sampling = sampling
    # Image sequences repeat forever.
    photo.loop = 0 if photo.durations else None
    for each in properties:
        if each.kind == b"colr" and each.data.startswith(b"nclx") and len(each.data) >= 11:
            primaries, transfer = each.data[5], each.data[7]
            if (primaries, transfer) != (UNSPECIFIED, UNSPECIFIED):
                photo.signal["cICP"] = bytes((primaries, transfer, 0, 1))
        if each.kind == b"auxC" and b"alpha" not in each.data:
            photo.note("further pictures, such as a gain map, were left out")
    return photo


def _properties(content: bytes) -> list[Box]:
    """The properties of the pictures in a file."""
    found = inner(content, b"meta", b"iprp", b"ipco")
    return [] if found is None else list(boxes(found.data))


def _coding(properties: list[Box]) -> tuple[int, str | None]:
    """Bit depth and chroma subsampling, from `av1C`."""
    for each in properties:
        if each.kind == b"av1C" and len(each.data) >= 4:
            flags = each.data[2]
            bits = 12 if flags & 0x60 == 0x60 else 10 if flags & 0x40 else 8
            return bits, {0x0C: "4:2:0", 0x08: "4:2:2"}.get(flags & 0x0C, "4:4:4")
    return 8, None


def _deep_frames(content: bytes, bits: int, photo: Photo) -> list[np.ndarray]:
    values = needed("imagecodecs", "AVIF pictures beyond 8 bits").avif_decode(content, index=0)
    photo.note(f"{bits} bits became 16")
    with lazily_opened(io.BytesIO(content), "AVIF") as picture:
        orientation = picture.getexif().get(ORIENTATION, 1)
        if getattr(picture, "n_frames", 1) > 1:
            photo.note("only the first frame of an animation beyond 8 bits is read")
    return [upright(full_range(values, 2**bits - 1), orientation)]


def write(photo: Photo, file: BinaryIO) -> list[str]:
    options: dict[str, Any] = {"quality": QUALITY, "exif": photo.exif}
    if photo.icc:
        options["icc_profile"] = photo.icc
    if photo.xmp:
        options["xmp"] = photo.xmp
    images = images_of(photo)
    if any(image.mode not in ("L", "LA") for image in images):
        options["subsampling"] = photo.sampling or "4:4:4"
    notes = []
    if len(images) > 1:
        options["duration"] = photo.durations or 0
        if photo.loop != 0:
            notes.append("how often the animation is repeated was left out")
    save_with_pillow(images, file, "AVIF", **options)
    return notes


AVIF = Format(
    name="AVIF",
    suffixes=(".avif", ".avifs"),
    media="image/avif",
    recognise=recognise,
    read=read,
    write=write,
    keeps=DESCRIPTION | {Part.ALPHA, Part.ANIMATION},
    library="imagecodecs (more than 8 bits, read only)",
    coded="lossy, quality 95",
)

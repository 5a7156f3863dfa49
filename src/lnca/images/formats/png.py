"""PNG, still and animated."""

import io
import struct
import zlib
from typing import Any, BinaryIO

import numpy as np

from ...errors import LncaError
from ..containers import PNG_MAGIC, Chunk, png_chunks, png_of, unzipped
from ..damage import mended_png
from ..exif import ORIENTATION, is_empty, resolution_of
from ..photo import Photo, needed, of_depth, upright
from ..pillow import images_of, lazily_opened, read_with_pillow, rest_of, save_with_pillow
from .record import DESCRIPTION, Format, Part, begins

XMP_KEYWORD = "XML:com.adobe.xmp"
# Chunks that define the colours, in the order of writing; an earlier one overrides a later one.
SIGNAL = (b"cICP", b"mDCV", b"cLLI", b"sRGB", b"gAMA", b"cHRM")
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Chunks of the pixels, and chunks that Pillow reads.
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"eXIf", b"pHYs")
MOST_TEXT = 2**24
# From 0 to 9. At Pillow's 6, photographs take over twice as long to write, and save at most 6 % of the bytes.
COMPRESSION = 3
# Keywords of texts that Pillow reads as XMP and EXIF.
TAKEN = (XMP_KEYWORD, "Raw profile type exif", "Raw profile type APP1")


def read(file: BinaryIO, name: str, limit: int) -> Photo:
    content = rest_of(file)
    # Bit depth and colour types that Pillow reduces to 8 bits: all except grey.
    deep = len(content) > 25 and content[24] == 16 and content[25] != 0
    photo = (
        _read_deep(content, name, limit) if deep else read_with_pillow(io.BytesIO(content), name, limit, "PNG", True)
    )
    for chunk in png_chunks(content):
        _take(chunk, photo)
    return photo


def _read_deep(content: bytes, name: str, limit: int) -> Photo:
    """Reads colours of 16 bits."""
    photo = read_with_pillow(io.BytesIO(content), name, limit, "PNG", pixels=False)
    with lazily_opened(io.BytesIO(content), "PNG") as picture:
        orientation = picture.getexif().get(ORIENTATION, 1)
        if getattr(picture, "n_frames", 1) > 1:
            photo.note("only the first frame of an animation of 16 bits is read")
    values = needed("imagecodecs", "colours of 16 bits in PNG").png_decode(content)
    photo.frames = [upright(values, orientation)]
    return photo


def _take(chunk: Chunk, photo: Photo) -> None:
    """Reads from a chunk what Pillow does not read, and notes chunks that are left out."""
    name, data, _ = chunk
    if name in SIGNAL:
        photo.signal[name.decode()] = data
    elif name in TEXTS:
        try:
            keyword, text = _text(name, data)
        except (LncaError, ValueError, IndexError):
            photo.note("a text that cannot be read was left out")
            return
        if keyword not in TAKEN:
            photo.comments[keyword] = "\n".join(filter(None, (photo.comments.get(keyword), text)))
    elif name not in PIXELS:
        photo.note(f"the chunk {name.decode('latin-1')} was left out")
    elif name == b"pHYs" and data[8:] != b"\x01":
        photo.note("the shape of pixels (pHYs) was left out")


def _text(name: bytes, data: bytes) -> tuple[str, str]:
    """Keyword and text of a text chunk."""
    keyword, _, rest = data.partition(b"\0")
    if name == b"tEXt":
        return keyword.decode("latin-1"), rest.decode("latin-1")
    if name == b"zTXt":
        return keyword.decode("latin-1"), unzipped(rest[1:], MOST_TEXT).decode("latin-1")
    _, _, text = rest[2:].split(b"\0", 2)
    return keyword.decode("latin-1"), (unzipped(text, MOST_TEXT) if rest[0] else text).decode("utf-8")


def write(photo: Photo, file: BinaryIO) -> list[str]:
    notes = []
    if len(photo.frames) > 1 and any(frame.dtype != np.uint8 for frame in photo.frames):
        photo.frames = [of_depth(frame, np.uint8) for frame in photo.frames]
        notes.append("16 bits became 8")
    frame = photo.frames[0]
    if frame.dtype == np.uint16 and frame.ndim == 3:
        content = needed("imagecodecs", "colours of 16 bits in PNG").png_encode(np.ascontiguousarray(frame))
    else:
        content = _by_pillow(photo)
    head, *rest = png_chunks(content)
    file.write(png_of([head, *_beside(photo), *rest]))
    return notes


def _by_pillow(photo: Photo) -> bytes:
    room, options = io.BytesIO(), {"compress_level": COMPRESSION}
    if len(photo.frames) > 1:
        options |= _times(photo)
    save_with_pillow(images_of(photo), room, "PNG", **options)
    return room.getvalue()


def _times(photo: Photo) -> dict[str, Any]:
    options: dict[str, Any] = {"loop": 1 if photo.loop is None else photo.loop, "default_image": photo.cover}
    if photo.durations:
        options["duration"] = photo.durations[1:] if photo.cover else photo.durations
    return options


def _beside(photo: Photo) -> list[Chunk]:
    """The chunks of the metadata."""
    signal = ((name, photo.signal[name.decode()]) for name in SIGNAL if name.decode() in photo.signal)
    # A profile replaces the chunk sRGB.
    chunks = [Chunk(name, data) for name, data in signal if not (name == b"sRGB" and photo.icc)]
    if photo.icc:
        chunks.append(Chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(photo.icc)))
    if dpi := resolution_of(photo.exif):
        chunks.append(Chunk(b"pHYs", struct.pack(">IIB", *(round(each / 0.0254) for each in dpi), 1)))
    if not is_empty(photo.exif):
        chunks.append(Chunk(b"eXIf", photo.exif.tobytes().removeprefix(b"Exif\0\0")))
    if photo.xmp:
        chunks.append(Chunk(b"iTXt", XMP_KEYWORD.encode() + b"\0\0\0\0\0" + photo.xmp))
    for keyword, text in photo.comments.items():
        chunks.append(_written(keyword, text))
    return chunks


def _written(keyword: str, text: str) -> Chunk:
    key = keyword.encode("latin-1", "replace")[:79]
    try:
        return Chunk(b"tEXt", key + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return Chunk(b"iTXt", key + b"\0\0\0\0\0" + text.encode("utf-8", "replace"))


PNG = Format(
    name="PNG",
    suffixes=(".png", ".apng"),
    media="image/png",
    recognise=begins(PNG_MAGIC),
    read=read,
    mend=mended_png,
    write=write,
    keeps=DESCRIPTION | {Part.DEEP, Part.ALPHA, Part.ANIMATION, Part.COMMENTS, Part.SIGNAL},
    signals=frozenset(name.decode() for name in SIGNAL),
)

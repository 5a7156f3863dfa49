"""Damage that does not keep a picture from being read: it is mended where that changes no pixel, and said.

PNG has a checksum for each part. One that is wrong in a text or a profile costs that part alone, as every viewer has
it. JPEG has none: a decoder makes up what it does not understand. A scan that was damaged comes to its end too early or
too late, mostly, and PyAV's strict decoder, where that library is here, does not take what is no code.
"""

import io
import re
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import UnidentifiedImageError

from ..errors import LncaError
from .containers import png_chunks, png_of
from .pillow import check_size, lazily_opened, rest_of

JPEG_END = b"\xff\xd9"
# Parts of a PNG whose names say that it can be read without them, though its pixels or frames depend on them.
FRAMES = (b"acTL", b"fcTL", b"fdAT")
# Marks of a JPEG: where a scan begins, of kinds that have a single one, and where a scan, or a part of it, ends.
SCAN, BASELINE, MARKS = 0xDA, (0xC0, 0xC1), re.compile(rb"\xff[\xd0-\xd7\xd9]")
# What is put behind a scan that may end too early, and what takes the place of its last bits: of both kinds.
PADDING, LAST_BITS = b"\x55" * 64, (b"\x55" * 16, b"\xaa" * 16)


class Damage(NamedTuple):
    """What is wrong with a file, a phrase, and whether pixels may be wrong for it."""

    text: str
    pixels: bool


def as_it_is(file: BinaryIO, name: str, limit: int, thorough: bool) -> tuple[BinaryIO, list[Damage]]:
    """`Format.mend` of formats whose damage only their decoders find."""
    return file, []


def mended_png(file: BinaryIO, name: str, limit: int, thorough: bool) -> tuple[BinaryIO, list[Damage]]:
    """A PNG file as it is, or without the parts whose checksums are wrong, as far as lengths can be followed.

    Raises:
        LncaError: a part that its pixels depend on is damaged.
    """
    chunks = list(png_chunks(rest_of(file)))
    bad = [chunk.name for chunk in chunks if not chunk.whole]
    for kind in bad:
        if not kind[0] & 0x20 or kind in FRAMES:
            shown = kind.decode("latin-1")
            raise LncaError(f"{name} is damaged: the checksum of its part {shown!r} is wrong; get a whole copy of it")
    if not bad:
        return file, []
    kinds = ", ".join(dict.fromkeys(kind.decode("latin-1") for kind in bad))
    whole = io.BytesIO(png_of(chunk for chunk in chunks if chunk.whole))
    return whole, [Damage(f"damaged parts of the PNG were left out: {kinds}", False)]


def mended_jpeg(file: BinaryIO, name: str, limit: int, thorough: bool) -> tuple[BinaryIO, list[Damage]]:
    """A JPEG file as it is, or with an end, where nothing but that is missing; of a kind that is not read, as it is.

    Args:
        limit: the most pixels that are decoded.
        thorough: look for a scan that ends too early or too late, which takes some decodings.

    Raises:
        LncaError: as `check_size`.
    """
    try:
        with lazily_opened(file, "JPEG") as picture:
            check_size(*picture.size, name, limit)
    except UnidentifiedImageError:
        return file, []
    content, found = rest_of(file), []
    pixels = _pixels(content) if thorough or not content.rstrip(b"\0").endswith(JPEG_END) else None
    if pixels is None and not content.rstrip(b"\0").endswith(JPEG_END):
        # Half an end mark, perhaps.
        content = content.rstrip(b"\xff") + JPEG_END
        pixels = _pixels(content)
        if pixels is None or _wants_more(content, pixels):
            return file, []
        file, found = io.BytesIO(content), [Damage("the end mark of the JPEG was missing", False)]
    made_up = thorough and pixels is not None and (_wants_more(content, pixels) or _leaves_some(content, pixels))
    if made_up or not _is_strict(content):
        found.append(Damage("the JPEG is damaged, and parts of the picture may be wrong", True))
    return file, found


def _pixels(content: bytes) -> np.ndarray | None:
    """What Pillow makes of a JPEG; None where it says that something is missing."""
    try:
        with lazily_opened(io.BytesIO(content), "JPEG") as picture:
            return np.asarray(picture)
    except OSError:
        return None


def _scan_of(content: bytes) -> tuple[int, bool]:
    """Where the first scan of a JPEG begins, behind its head, in which there may be another JPEG, and whether it is the
    only one."""
    place, only = 2, False
    while place + 4 <= len(content) and content[place] == 0xFF:
        mark = content[place + 1]
        if mark == SCAN:
            return place, only
        only |= mark in BASELINE
        place += 1 if mark == 0xFF else 2 + int.from_bytes(content[place + 2 : place + 4])
    return len(content), False


def _same(pixels: np.ndarray, content: bytes) -> bool:
    other = _pixels(content)
    return other is not None and np.array_equal(pixels, other)


def _wants_more(content: bytes, pixels: np.ndarray) -> bool:
    """Whether a scan ends too early: other bits behind it, where a whole one does not look, give other pixels."""
    scan, only = _scan_of(content)
    begin = scan if only else max(content.rfind(JPEG_END), 0)
    return not _same(pixels, content[:begin] + MARKS.sub(lambda mark: PADDING + mark[0], content[begin:]))


def _leaves_some(content: bytes, pixels: np.ndarray) -> bool:
    """Whether a scan ends too late: whatever its last bits are, the pixels are the same."""
    scan, only = _scan_of(content)
    end = content.find(JPEG_END, scan)
    if not only or end - scan < 8 * len(LAST_BITS[0]) or MARKS.search(content, scan, end):
        return False
    begin = end - len(LAST_BITS[0])
    return all(_same(pixels, content[:begin] + bits + content[end:]) for bits in LAST_BITS)


def _is_strict(content: bytes) -> bool:
    """Whether PyAV's strict decoder takes a JPEG; so where it is not here or does not know its kind."""
    try:
        import av
        from av.error import FFmpegError, InvalidDataError
    except ImportError:
        return True
    try:
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.thread_count = 1
        decoder.options = {"err_detect": "explode"}
        decoder.decode(av.Packet(content))
    except InvalidDataError:
        return False
    except (FFmpegError, MemoryError):
        pass
    return True

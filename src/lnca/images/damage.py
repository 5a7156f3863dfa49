"""Damaged files that can still be read: damage that changes no pixel is repaired, and reported.

PNG has a checksum for each chunk. If it is wrong in a text or a profile, only that chunk is lost, as in every viewer.
JPEG has no checksums, and decoders guess what they do not understand. But a damaged scan mostly ends too early or too
late, and PyAV's strict decoder, if installed, refuses invalid codes.
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
# PNG chunks that pixels or frames depend on, although their names mark them as not critical.
FRAMES = (b"acTL", b"fcTL", b"fdAT")
# JPEG markers: start of a scan; frames of kinds with a single scan; end of a scan or of a part of it.
SCAN, BASELINE, MARKS = 0xDA, (0xC0, 0xC1), re.compile(rb"\xff[\xd0-\xd7\xd9]")
# Bytes that are appended to a scan that may end too early, and two replacements for the last bytes of a scan.
PADDING, LAST_BITS = b"\x55" * 64, (b"\x55" * 16, b"\xaa" * 16)


class Damage(NamedTuple):
    """Damage of a file: a phrase, and whether it may affect pixels."""

    text: str
    pixels: bool


def as_it_is(file: BinaryIO, name: str, limit: int, thorough: bool) -> tuple[BinaryIO, list[Damage]]:
    """`Format.mend` for formats whose decoders find the damage: returns the file unchanged."""
    return file, []


def mended_png(file: BinaryIO, name: str, limit: int, thorough: bool) -> tuple[BinaryIO, list[Damage]]:
    """The PNG file without chunks whose checksums are wrong, as far as the lengths of chunks are right.

    Raises:
        LncaError: a chunk that pixels depend on is damaged.
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
    """The JPEG file, with an end marker if only that is missing; kinds that lnca cannot read are unchanged.

    Args:
        limit: largest number of pixels to decode.
        thorough: look for a scan that ends too early or too late, which takes several decodings.

    Raises:
        LncaError: see `check_size`.
    """
    try:
        with lazily_opened(file, "JPEG") as picture:
            check_size(*picture.size, name, limit)
    except UnidentifiedImageError:
        return file, []
    content, found = rest_of(file), []
    pixels = _pixels(content) if thorough or not content.rstrip(b"\0").endswith(JPEG_END) else None
    if pixels is None and not content.rstrip(b"\0").endswith(JPEG_END):
        # This may be half an end marker.
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
    """The pixels that Pillow decodes from a JPEG; None if Pillow reports that something is missing."""
    try:
        with lazily_opened(io.BytesIO(content), "JPEG") as picture:
            return np.asarray(picture)
    except OSError:
        return None


def _scan_of(content: bytes) -> tuple[int, bool]:
    """The position of the first scan of a JPEG after its header, which may contain another JPEG, and whether it is the
    only scan."""
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
    """Whether a scan ends too early: different bits after it, which a whole scan ignores, give different pixels."""
    scan, only = _scan_of(content)
    begin = scan if only else max(content.rfind(JPEG_END), 0)
    return not _same(pixels, content[:begin] + MARKS.sub(lambda mark: PADDING + mark[0], content[begin:]))


def _leaves_some(content: bytes, pixels: np.ndarray) -> bool:
    """Whether a scan ends too late: its last bits do not affect the pixels."""
    scan, only = _scan_of(content)
    end = content.find(JPEG_END, scan)
    if not only or end - scan < 8 * len(LAST_BITS[0]) or MARKS.search(content, scan, end):
        return False
    begin = end - len(LAST_BITS[0])
    return all(_same(pixels, content[:begin] + bits + content[end:]) for bits in LAST_BITS)


def _is_strict(content: bytes) -> bool:
    """Whether PyAV's strict decoder accepts a JPEG; true if PyAV is not installed or does not support its kind."""
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

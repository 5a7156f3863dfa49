"""Parts of files: PNG chunks, JPEG segments, and ISO boxes (HEIC, AVIF, JPEG XL, JPEG 2000)."""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import LncaError

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# In the data of a JPEG scan a byte FF is followed by 0, or by a restart marker; anything else ends the scan.
END_OF_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
SCAN, END = 0xDA, 0xD9
# Markers without a length: TEM, restart markers, start of image.
BARE = (0x01, *range(0xD0, 0xD9))


class Chunk(NamedTuple):
    """A chunk of PNG; `whole` means that its checksum is right."""

    name: bytes
    data: bytes
    whole: bool = True

    def tobytes(self) -> bytes:
        return struct.pack(">I", len(self.data)) + self.name + self.data + struct.pack(">I", crc(self.name, self.data))


def crc(name: bytes, data: bytes) -> int:
    """Checksum of a PNG chunk."""
    return zlib.crc32(data, zlib.crc32(name))


def png_chunks(content: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG file, as far as they are complete."""
    at = len(PNG_MAGIC)
    while at + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, at)
        name, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        if len(data) < size or at + 12 + size > len(content):
            return
        (found,) = struct.unpack_from(">I", content, at + 8 + size)
        yield Chunk(name, data, found == crc(name, data))
        at += 12 + size
        if name == b"IEND":
            return


def png_of(chunks: Iterable[Chunk]) -> bytes:
    """A PNG file from chunks, with right checksums."""
    return PNG_MAGIC + b"".join(chunk.tobytes() for chunk in chunks)


class Segment(NamedTuple):
    """A segment of JPEG: the second byte of its marker, and the data after its length."""

    marker: int
    data: bytes


class Jpeg(NamedTuple):
    """The segments before the first scan, and the end of the picture: after its end marker, or None without one."""

    segments: list[Segment]
    end: int | None


def jpeg_of(content: bytes) -> Jpeg:
    """The parts of a JPEG file."""
    segments: list[Segment] = []
    at, scanned = 2, False
    while at + 2 <= len(content):
        if content[at] != 0xFF:
            at += 1
            continue
        marker = content[at + 1]
        if marker in (0xFF, 0x00):
            at += 1
        elif marker == END:
            return Jpeg(segments, at + 2)
        elif marker in BARE:
            at += 2
        elif at + 4 > len(content):
            break
        else:
            (size,) = struct.unpack_from(">H", content, at + 2)
            scanned = scanned or marker == SCAN
            if not scanned:
                segments.append(Segment(marker, content[at + 4 : at + 2 + size]))
            at += 2 + size
            if marker == SCAN:
                found = END_OF_SCAN.search(content, at)
                at = len(content) if found is None else found.end() - 2
    return Jpeg(segments, None)


class Box(NamedTuple):
    """A box of ISO's base media format: its type, its content, and the position of the content in the file."""

    kind: bytes
    data: bytes
    place: int

    def tobytes(self) -> bytes:
        return box(self.kind, self.data)


def box(kind: bytes, data: bytes) -> bytes:
    """A box, with its length before it."""
    return struct.pack(">I", 8 + len(data)) + kind + data


def boxes(content: bytes, place: int = 0) -> Iterator[Box]:
    """The boxes of a file, or of the content of a box that begins at `place`; the last one may be truncated."""
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        head = 8
        if size == 1 and at + 16 <= len(content):
            (size,), head = struct.unpack_from(">Q", content, at + 8), 16
        end = len(content) if size == 0 else at + size
        if size and size < head:
            return
        yield Box(kind, content[at + head : end], place + at + head)
        at = end


def inner(content: bytes, *kinds: bytes) -> Box | None:
    """The first box of a kind within the first box of another, and so on."""
    found: Box | None = Box(b"", content, 0)
    for kind in kinds:
        if found is None:
            return None
        # A full box begins with its version.
        skipped = 4 if found.kind == b"meta" else 0
        found = next((each for each in boxes(found.data[skipped:]) if each.kind == kind), None)
    return found


def unzipped(data: bytes, most: int) -> bytes:
    """Decompresses zlib data.

    Raises:
        LncaError: the data are not zlib's, or give more than `most` bytes.
    """
    packer = zlib.decompressobj()
    try:
        content = packer.decompress(data, most)
    except zlib.error as error:
        raise LncaError("data that cannot be unpacked") from error
    if packer.unconsumed_tail:
        raise LncaError("data that unpacks to too much")
    return content

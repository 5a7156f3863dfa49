"""Changes of bytes, like those of bit rot, attackers and incomplete downloads."""

import struct
import zlib
from collections.abc import Sequence

from hypothesis import strategies as st

Change = tuple[str, int, int]

KINDS = ("flip", "byte", "word", "long", "cut", "delete", "repeat", "insert", "move", "splice", "truncate")
# Values at which lengths, counts and offsets go wrong.
INTERESTING = (
    0,
    1,
    2,
    7,
    8,
    9,
    127,
    128,
    255,
    256,
    4096,
    32767,
    32768,
    65535,
    65536,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 1,
)
HEAD = 96
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def changes(largest: int = 6) -> st.SearchStrategy[list[Change]]:
    """One to `largest` changes, each with a kind, a position and a value; each kind uses what it needs."""
    return st.lists(
        st.tuples(st.sampled_from(KINDS), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
        min_size=1,
        max_size=largest,
    )


def apply(content: bytes, applied: Sequence[Change], other: bytes) -> bytes:
    """Applies changes to the content; parts of `other` may be spliced in."""
    data = bytearray(content)
    for kind, place, value in applied:
        if not data:
            break
        # Every second change goes to the head, where most decisions of a reader are made.
        at = (place >> 1) % (min(HEAD, len(data)) if place & 1 else len(data))
        length = 1 + value % 64
        match kind:
            case "flip":
                data[at] ^= 1 << value % 8
            case "byte":
                data[at] = value & 255
            case "word":
                data[at : at + 2] = struct.pack(">H" if value & 1 else "<H", _interesting(value) & 0xFFFF)
            case "long":
                data[at : at + 4] = struct.pack(">I" if value & 1 else "<I", _interesting(value))
            case "cut":
                del data[at : at + 1 + value % 4]
            case "delete":
                del data[at : at + length]
            case "repeat":
                data[at:at] = data[at : at + length] * (1 + value % 5)
            case "insert":
                data[at:at] = value.to_bytes(4, "big") * (1 + value % 16)
            case "move":
                part = data[at : at + length]
                del data[at : at + length]
                there = value % (len(data) + 1)
                data[there:there] = part
            case "splice":
                data[at:] = other[value % (len(other) + 1) :]
            case "truncate":
                del data[at:]
    return bytes(data)


def _interesting(value: int) -> int:
    chosen = INTERESTING[(value >> 1) % len(INTERESTING)]
    return chosen if value & 2**20 else (value ^ chosen) & 0xFFFFFFFF


def with_checksums(png: bytes) -> bytes:
    """A PNG with right checksums of its chunks, so that changes get past the check."""
    result, at = bytearray(png[: len(PNG_MAGIC)]), len(PNG_MAGIC)
    while at + 12 <= len(png):
        (size,) = struct.unpack_from(">I", png, at)
        if at + 12 + size > len(png):
            break
        chunk = png[at + 4 : at + 8 + size]
        result += png[at : at + 4] + chunk + struct.pack(">I", zlib.crc32(chunk))
        at += 12 + size
    return bytes(result) + png[at:]

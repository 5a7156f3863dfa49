"""What passes between the service and its workers: a header of JSON and bytes, never a pickle, so that a worker that a
hostile picture has taken over cannot take over the service.

    length of the header, 4 bytes, most significant first | header | as many bytes as its "size" says
"""

import asyncio
import json
import struct
from typing import Any, BinaryIO

LENGTH = struct.Struct(">I")
LONGEST_HEADER = 2**20


def packed(header: dict[str, Any], *contents: bytes) -> list[bytes]:
    """The parts of a message; the header says the size of the contents together."""
    text = json.dumps({**header, "size": sum(map(len, contents))}).encode()
    return [LENGTH.pack(len(text)), text, *contents]


def read_message(file: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Header and content; None at the end of the file."""
    start = file.read(LENGTH.size)
    if len(start) < LENGTH.size:
        return None
    header = json.loads(file.read(*LENGTH.unpack(start)))
    return header, file.read(header["size"])


async def receive_message(reader: asyncio.StreamReader, most: int) -> tuple[dict[str, Any], bytes]:
    """Header and content.

    Raises:
        ValueError: a header or content that is too long, or no header.
        asyncio.IncompleteReadError: the other side is gone.
    """
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(await reader.readexactly(length))
    if not isinstance(header, dict) or not isinstance(header.get("size"), int) or not 0 <= header["size"] <= most:
        raise ValueError("a header that says no size, or too large a one")
    return header, await reader.readexactly(header["size"])

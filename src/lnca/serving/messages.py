"""Messages between the service and its workers. They are JSON and bytes, never pickles, so that a worker that a hostile
picture has taken over cannot take over the service.

    length of the header, 4 bytes, big-endian | header, JSON | content, "size" bytes of the header
"""

import asyncio
import json
import struct
from typing import Any, BinaryIO

LENGTH = struct.Struct(">I")
LONGEST_HEADER = 2**20


def packed(header: dict[str, Any], *contents: bytes) -> list[bytes]:
    """The parts of a message. The header gets "size", the total size of the contents in bytes."""
    text = json.dumps({**header, "size": sum(map(len, contents))}).encode()
    return [LENGTH.pack(len(text)), text, *contents]


def read_message(file: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Reads the header and the content of a message; None at the end of the file."""
    start = file.read(LENGTH.size)
    if len(start) < LENGTH.size:
        return None
    header = json.loads(file.read(*LENGTH.unpack(start)))
    return header, file.read(header["size"])


async def receive_message(reader: asyncio.StreamReader, limit: int) -> tuple[dict[str, Any], bytes]:
    """Reads the header and the content of a message.

    Args:
        limit: largest size of the content in bytes.

    Raises:
        ValueError: header or content are too long, or the header is invalid.
        asyncio.IncompleteReadError: the other side has closed the stream.
    """
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length} bytes")
    header = json.loads(await reader.readexactly(length))
    if not isinstance(header, dict) or not isinstance(header.get("size"), int) or not 0 <= header["size"] <= limit:
        raise ValueError("a header without a size, or with one that is too large")
    return header, await reader.readexactly(header["size"])

"""Reads the bodies of requests, within limits of size and time."""

import asyncio
import base64
import binascii

from starlette.requests import ClientDisconnect, Request

from .queue import Refusal

# Seconds for reading and discarding the rest of a refused request, so that the client receives the answer.
PATIENCE = 5
# Largest number of characters of a kernel in a URL, which must fit into the head of a request.
LONGEST_KERNEL = 48_000


def declared(request: Request, limit: int) -> int:
    """The number of bytes that the request declares; `limit` if it declares none.

    Raises:
        Refusal: 413 for more than `limit` bytes, 415 for a body that is no plain file, 422 for an invalid length.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(("multipart/", "text/")) or kind == "application/json":
        raise Refusal(415, f"{kind} is no picture; send the bytes of the file as the body (curl --data-binary @FILE)")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "a compressed body is not read; send the file as it is, without Content-Encoding")
    length = request.headers.get("content-length")
    if length is None:
        return limit
    if not (length.isascii() and length.isdecimal()):
        raise Refusal(422, "Content-Length should be a number of bytes")
    if int(length) > limit:
        raise too_long(limit)
    return int(length)


def too_long(limit: int) -> Refusal:
    """The refusal of a body of more than `limit` bytes."""
    return Refusal(413, f"the file has more than {limit / 1e6:g} MB; send a smaller one")


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """Reads the body of a request.

    Raises:
        Refusal: 408 if it takes longer than `seconds`, 413 for more than `limit` bytes.
        ClientDisconnect: the client disconnected before the end.
    """
    body = bytearray()
    request.state.body = "begun"
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_long(limit)
    except TimeoutError as error:
        raise Refusal(408, f"the picture did not arrive within {seconds:g} s; send it again") from error
    request.state.body = "read"
    return bytes(body)


async def discard(request: Request, limit: int) -> bool:
    """Reads and discards the rest of a body, up to a limit; returns False if there is more.

    If a connection is closed with unread data, the answer may be lost.
    """
    stage = getattr(request.state, "body", "waiting")
    if stage == "read":
        return True
    if stage == "waiting" and "100-continue" in request.headers.get("expect", "").lower():
        return False
    read = 0
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await request.receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return True
                read += len(message.get("body", b""))
                if read > limit:
                    return False
    except (TimeoutError, ClientDisconnect):
        return False


def in_base64(kernel: str) -> str:
    """The base64 text of a kernel's file with + and /, which URLs write as - and _, or as a space.

    Raises:
        Refusal: the text is not base64, or too long.
    """
    plain = kernel.replace("-", "+").replace("_", "/").replace(" ", "+")
    if len(plain) > LONGEST_KERNEL:
        raise Refusal(422, f"kernel has more than {LONGEST_KERNEL} letters; send a smaller picture of it")
    try:
        base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(422, "kernel should be a PNG, TIFF or .npy file in base64") from error
    return plain

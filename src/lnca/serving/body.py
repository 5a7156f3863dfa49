"""Reading what a client sends, within limits of bytes and of time."""

import asyncio
import base64
import binascii

from starlette.requests import ClientDisconnect, Request

from .queue import Refusal

# Seconds in which the rest of a refused request is read and thrown away, so that the client hears why.
PATIENCE = 5
# Letters of a kernel in an address, which has to fit into the head of a request.
LONGEST_KERNEL = 48_000


def declared(request: Request, most: int) -> int:
    """Bytes the request says that it has; `most` when it does not say.

    Raises:
        Refusal: 413 for more than `most`, 415 for what is not a picture as it is, 422 for a length that is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith(("multipart/", "text/")) or kind == "application/json":
        raise Refusal(415, f"{kind} is no picture; send the bytes of the file as the body (curl --data-binary @FILE)")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(415, "a compressed body is not read; send the file as it is, without Content-Encoding")
    length = request.headers.get("content-length")
    if length is None:
        return most
    if not (length.isascii() and length.isdecimal()):
        raise Refusal(422, "Content-Length should be a number of bytes")
    if int(length) > most:
        raise too_long(most)
    return int(length)


def too_long(most: int) -> Refusal:
    return Refusal(413, f"the file has more than {most / 1e6:g} MB; send a smaller one")


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The body.

    Raises:
        Refusal: 408 when it takes longer than `seconds`, 413 for more than `most` bytes.
        ClientDisconnect: it ended early.
    """
    body = bytearray()
    request.state.body = "begun"
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_long(most)
    except TimeoutError as error:
        raise Refusal(408, f"the picture did not arrive within {seconds:g} s; send it again") from error
    request.state.body = "read"
    return bytes(body)


async def discard(request: Request, most: int) -> bool:
    """Reads the rest of a body and forgets it, up to a limit; False when there is more.

    Where a connection is closed on what was not read, the answer may be lost with it.
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
                if read > most:
                    return False
    except (TimeoutError, ClientDisconnect):
        return False


def in_base64(kernel: str) -> str:
    """A kernel's file as it is handed on: base64 with + and /, which addresses write as - and _, or as a space.

    Raises:
        Refusal: it is none, or too long.
    """
    plain = kernel.replace("-", "+").replace("_", "/").replace(" ", "+")
    if len(plain) > LONGEST_KERNEL:
        raise Refusal(422, f"kernel has more than {LONGEST_KERNEL} letters; send a smaller picture of it")
    try:
        base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(422, "kernel should be a PNG, TIFF or .npy file in base64") from error
    return plain

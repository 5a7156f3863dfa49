"""Runs the service on a socket."""

import asyncio
import ipaddress
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import LncaError
from .app import create_app
from .metrics import Metrics
from .queue import Queue, Tally
from .settings import Settings

SHORTEST_TOKEN = 16
VARIABLE = "LNCA_TOKEN"
# Seconds in which the head of a request must arrive, and largest number of simultaneous connections.
HEAD_SECONDS = 10
CONNECTIONS = 1000


class Protocol(H11Protocol):
    """HTTP/1.1 with a time limit for the head of a request."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._close_without_request)

    def _close_without_request(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


def chosen_token(file: Path | None, none: bool) -> tuple[str | None, bool]:
    """The token, and whether it is new and must be shown to the user.

    Args:
        file: file with the token; if None, the environment variable LNCA_TOKEN, or else a new random token.
        none: whether the service has no token.

    Raises:
        LncaError: the file cannot be read, the token is too short or has invalid characters, or `file` contradicts
            `none`.
    """
    given = os.environ.get(VARIABLE)
    if none:
        if file is not None:
            raise LncaError("--no-token and --token-file contradict each other; give one of them")
        return None, False
    if file is not None:
        try:
            given = file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise LncaError(f"the token cannot be read from {file}: {reason}") from error
    if given is None:
        return secrets.token_urlsafe(32), True
    if len(given) < SHORTEST_TOKEN or not given.isascii() or not given.isprintable() or " " in given:
        raise LncaError(f"a token should be {SHORTEST_TOKEN} or more letters, digits and signs, without spaces")
    return given, False


def bound(host: str, port: int, token: str | None) -> socket.socket:
    """A listening socket.

    Raises:
        LncaError: the address does not exist, the port is in use, or other machines can reach the address and there is
            no token.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = addresses[0]
        if token is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise LncaError(f"{host} can be reached from other machines; leave out --no-token, or bind to 127.0.0.1")
        return socket.create_server(address[:2], family=family, backlog=512)
    except (OSError, OverflowError, UnicodeError) as error:
        raise LncaError(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}") from error


def serve(settings: Settings, listening: socket.socket, token: str | None, ready: Callable[[str], None]) -> Tally:
    """Serves until SIGINT or SIGTERM; then answers the accepted requests, and returns the numbers of requests.

    Args:
        settings: settings of the service.
        listening: a socket from `bound`.
        token: see `create_app`.
        ready: called with the URL when the service is ready.

    Raises:
        LncaError: a model cannot be loaded.
    """
    logging.basicConfig(format="lnca: %(message)s", level=logging.WARNING)
    # Clients that send invalid HTTP must not fill the log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    # After its end uvicorn raises the signal again, which must have no effect then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return asyncio.run(_serve(settings, listening, token, ready))


async def _serve(
    settings: Settings, listening: socket.socket, token: str | None, ready: Callable[[str], None]
) -> Tally:
    async with Queue(settings, Metrics()) as queue:
        patience = settings.upload_seconds + 3 * settings.seconds
        config = uvicorn.Config(
            create_app(settings, queue, token),
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=int(patience),
        )
        host, port = listening.getsockname()[:2]
        ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        await uvicorn.Server(config).serve(sockets=[listening])
        return queue.tally

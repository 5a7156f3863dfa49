"""The service on a socket, from its start to its end."""

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
# Seconds for the head of a request to arrive, and connections at a time.
HEAD_SECONDS = 10
CONNECTIONS = 1000


class Protocol(H11Protocol):
    """HTTP/1.1 that does not wait for ever for the head of a request."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(HEAD_SECONDS, self._close_without_request)

    def _close_without_request(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


def chosen_token(file: Path | None, none: bool) -> tuple[str | None, bool]:
    """The token, and whether it was made here and has to be shown.

    Args:
        file: holds it; else the variable LNCA_TOKEN, else a new one is made.
        none: there is to be none.

    Raises:
        LncaError: a file that cannot be read, a token that is too short, a token where there is to be none.
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
    """A socket that listens.

    Raises:
        LncaError: no such address, a port that is taken, or one that others can reach, without a token.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        if token is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
            raise LncaError(f"{host} can be reached from other machines; leave out --no-token, or bind to 127.0.0.1")
        return socket.create_server(address[:2], family=family, backlog=512)
    except (OSError, OverflowError, UnicodeError) as error:
        raise LncaError(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}") from error


def serve(settings: Settings, listening: socket.socket, token: str | None, ready: Callable[[str], None]) -> Tally:
    """Serves until SIGINT or SIGTERM; then takes no more requests, answers those it has, ends, and says how many.

    Args:
        listening: from `bound`.
        ready: is called with the address once requests are answered.

    Raises:
        LncaError: a model cannot be loaded.
    """
    logging.basicConfig(format="lnca: %(message)s", level=logging.WARNING)
    # Whoever sends what is no HTTP should not fill a log.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    # uvicorn raises the signal again when it has ended; it has been obeyed by then.
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

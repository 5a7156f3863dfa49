"""Access control: clients need the token; without one, only clients on this machine are served."""

import hashlib
import hmac
from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Paths that need no token.
OPEN = ("/health/live", "/health/ready")
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class Guard:
    """ASGI middleware that refuses requests without the token, and counts answers.

    Args:
        app: the application.
        token: expected as `Authorization: Bearer TOKEN`, and compared in constant time. None accepts requests whose
            Host header names this machine as local. So a web page in a browser on this machine cannot reach the
            service, whatever name it gave this address (DNS rebinding).
        count: called with path and status of every answer.
    """

    def __init__(self, app: ASGIApp, token: str | None, count: Callable[[str, int], None]):
        self.app, self.count = app, count
        self._digest = None if token is None else hashlib.sha256(token.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        # HEAD is answered like GET; the server omits the body.
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.count(scope["path"], message["status"])
                extra = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = None if scope["path"] in OPEN else self._refusal(headers)
        await (self.app if refusal is None else refusal)(scope, receive, counted)

    def _refusal(self, headers: dict[bytes, bytes]) -> JSONResponse | None:
        if self._digest is None:
            host = headers.get(b"host", b"").decode("latin-1")
            if host.rpartition(":")[0] in LOCAL_NAMES or host in LOCAL_NAMES:
                return None
            return _refused(403, "this service answers to localhost only; begin it with a token for other names", {})
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"bearer" and hmac.compare_digest(hashlib.sha256(given.strip()).digest(), self._digest):
            return None
        sentence = "give the token that the service printed when it began, as Authorization: Bearer TOKEN"
        return _refused(401, sentence, {"www-authenticate": "Bearer"})


def _refused(status: int, sentence: str, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, {**headers, "connection": "close"})

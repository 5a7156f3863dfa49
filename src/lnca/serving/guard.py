"""Who may ask: whoever knows the token, or, where there is none, whoever is on this machine."""

import hashlib
import hmac
from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Whether it is alive and ready anybody may know.
OPEN = ("/health/live", "/health/ready")
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class Guard:
    """Around an application: refuses requests without the token, and counts answers.

    Args:
        app: the application.
        token: is asked for as `Authorization: Bearer TOKEN`, compared in constant time. None lets in whoever names this
            machine as a local one, which a page of the web in a browser here cannot, whatever name it gave the address.
        count: is told path and status of every answer.
    """

    def __init__(self, app: ASGIApp, token: str | None, count: Callable[[str, int], None]):
        self.app, self.count = app, count
        self._digest = None if token is None else hashlib.sha256(token.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        # What may be asked for can be asked about; the server sends no body then.
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
            return _said(403, "this service answers to localhost only; begin it with a token for other names", {})
        kind, _, given = headers.get(b"authorization", b"").partition(b" ")
        if kind.lower() == b"bearer" and hmac.compare_digest(hashlib.sha256(given.strip()).digest(), self._digest):
            return None
        said = "give the token that the service printed when it began, as Authorization: Bearer TOKEN"
        return _said(401, said, {"www-authenticate": "Bearer"})


def _said(status: int, sentence: str, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, {**headers, "connection": "close"})

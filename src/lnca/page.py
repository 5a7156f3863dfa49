"""The page of pictures in the browser, served to this machine alone."""

import functools
import http.server
import sys
import tomllib
import urllib.parse
from importlib import resources
from pathlib import Path
from typing import Any

from .errors import LncaError

LOOPBACK = "127.0.0.1"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".safetensors": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}
# The first two let the page have memory that threads share.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def built_page() -> Path:
    """The folder of the built page: that of this package, else of the checkout that the command runs in; raises
    `LncaError` where it was not built."""
    here = Path.cwd()
    checkout = next((folder for folder in (here, *here.parents) if _is_checkout(folder)), None)
    packages = [Path(str(resources.files("lnca"))), *([checkout / "src" / "lnca"] if checkout else [])]
    for package in packages:
        if (package / "web" / "index.html").is_file():
            return package / "web"
    raise LncaError("the page was not built; run `make web` in a checkout (it needs Node.js 20 or later)")


def _is_checkout(folder: Path) -> bool:
    """Whether a folder is one of lnca's sources."""
    try:
        return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["name"] == "lnca"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A server of a folder's files on the loopback interface; `serve_forever` runs it.

    Args:
        port: 0 takes a free one.

    Raises:
        LncaError: the port is taken, or not allowed.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files[""] = folder / "index.html"
    try:
        return _Server((LOOPBACK, port), functools.partial(_Handler, files))
    except (OSError, OverflowError) as error:
        raise LncaError(f"port {port} cannot be used ({error}); choose another with --port") from error


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    """Gives the files that there were at the beginning, and nothing else."""

    protocol_version = "HTTP/1.1"

    def __init__(self, files: dict[str, Path], *arguments: Any):
        self.files = files
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        # A page elsewhere whose name was made to mean this machine has another host.
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        path = self.files.get(urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).removeprefix("/"))
        if host not in (LOOPBACK, "localhost") or path is None:
            self.send_error(404)
            return
        content = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", TYPES.get(path.suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""

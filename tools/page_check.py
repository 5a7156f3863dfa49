"""Checks that `lnca app` of an installed wheel serves the page in the wheel."""

import http.client
import re
import subprocess
import threading
import urllib.request
import zipfile
from pathlib import Path

PREFIX = "lnca/web/"
# Time limits in seconds for `lnca app` to print its URL, and for an answer.
PATIENCE = 60
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".safetensors": "application/octet-stream",
    ".wasm": "application/wasm",
}


def files(wheel: Path) -> dict[str, bytes]:
    """The files of the page in a wheel, by their paths within the page; empty if the wheel has no page.

    Raises:
        OSError, zipfile.BadZipFile: the wheel cannot be read.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(PREFIX) and not name.endswith("/")]
        found = {name.removeprefix(PREFIX): archive.read(name) for name in names}
    return found if "index.html" in found else {}


def wrong(command: list[str], folder: Path, pages: dict[str, bytes], model: str) -> str | None:
    """Runs `lnca app`, and requests the page, its script, the kernels and the file of a model over loopback.

    Args:
        command: `lnca app`, without the options for a free port and no browser.
        folder: working directory.
        pages: files of the page, from `files`.
        model: name of the model whose file is requested.

    Returns:
        The first problem in words; None if there is none.
    """
    script = re.search(r'src="(?:\./)?(assets/[^"]+\.js)"', pages["index.html"].decode("utf-8", "replace"))
    kernels = [path for path in sorted(pages) if path.endswith(".wasm")]
    if script is None or not kernels:
        return "it names no script in assets/, or has no WebAssembly"
    requested = {"": "index.html", **{path: path for path in (script[1], *kernels, f"models/{model}.safetensors")}}
    if absent := [path for path in requested.values() if path not in pages]:
        return f"{', '.join(absent)} is missing"
    with subprocess.Popen([*command, "--port", "0", "--no-browser"], cwd=folder, stdout=subprocess.PIPE) as process:
        late = threading.Timer(PATIENCE, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode("utf-8", "replace")
            address = re.match(r"http://127\.0\.0\.1:\d+/", line)
            if address is None:
                return f"`lnca app` printed {line!r} in place of its address"
            late.cancel()
            answers = (_wrong_answer(address[0] + path, pages[file], file) for path, file in requested.items())
            return next((answer for answer in answers if answer), None)
        finally:
            late.cancel()
            process.kill()


def _wrong_answer(address: str, content: bytes, file: str) -> str | None:
    """The problem of the answer for a URL, requested without a proxy; None if there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=PATIENCE) as answer:
            status, kind, body = answer.status, answer.headers["Content-Type"], answer.read()
    except (OSError, http.client.HTTPException) as error:
        return f"{address}: {error}"
    if status != 200:
        return f"{address}: status {status}"
    expected = TYPES[Path(file).suffix]
    if kind != expected:
        return f"{address}: content type {kind}, not {expected}"
    return None if body == content else f"{address}: other bytes than in the wheel"

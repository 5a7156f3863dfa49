"""Whether `lnca app` of an installed wheel serves the page that the wheel holds."""

import http.client
import re
import subprocess
import threading
import urllib.request
import zipfile
from pathlib import Path

PREFIX = "lnca/web/"
# Seconds for `lnca app` to say its address, and for an answer.
PATIENCE = 60
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".safetensors": "application/octet-stream",
    ".wasm": "application/wasm",
}


def files(wheel: Path) -> dict[str, bytes]:
    """The files of the page in a wheel, by their paths from the page on; none where it holds no page.

    Raises:
        OSError, zipfile.BadZipFile: it cannot be read.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(PREFIX) and not name.endswith("/")]
        found = {name.removeprefix(PREFIX): archive.read(name) for name in names}
    return found if "index.html" in found else {}


def wrong(command: list[str], folder: Path, pages: dict[str, bytes], model: str) -> str | None:
    """Runs `lnca app` and asks it for the page, a script of it, the kernels and the file of a model over loopback.

    Args:
        command: `lnca app`; a free port, and no browser, are added.
        folder: to run it in.
        pages: what `files` found.
        model: whose file is asked for.

    Returns:
        What is not as it should be; None when all is well.
    """
    script = re.search(r'src="(?:\./)?(assets/[^"]+\.js)"', pages["index.html"].decode("utf-8", "replace"))
    kernels = [path for path in sorted(pages) if path.endswith(".wasm")]
    if script is None or not kernels:
        return "it names no script in assets/, or has no WebAssembly"
    asked = {"": "index.html", **{path: path for path in (script[1], *kernels, f"models/{model}.safetensors")}}
    if absent := [path for path in asked.values() if path not in pages]:
        return f"{', '.join(absent)} is missing"
    with subprocess.Popen([*command, "--port", "0", "--no-browser"], cwd=folder, stdout=subprocess.PIPE) as process:
        late = threading.Timer(PATIENCE, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode("utf-8", "replace")
            address = re.match(r"http://127\.0\.0\.1:\d+/", line)
            if address is None:
                return f"`lnca app` said {line!r} in place of its address"
            late.cancel()
            answers = (_wrong_answer(address[0] + path, pages[file], file) for path, file in asked.items())
            return next((answer for answer in answers if answer), None)
        finally:
            late.cancel()
            process.kill()


def _wrong_answer(address: str, content: bytes, file: str) -> str | None:
    """What is wrong with the answer for an address, asked for without any proxy."""
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

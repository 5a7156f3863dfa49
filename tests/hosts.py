"""Programs that lnca is a guest of, started on the loopback address for a test."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Starts a script of a checkout; the names of torchvision are there even where it is not installed.
SCRIPT = ROOT / "tests" / "integrations" / "host_server.py"


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(address, message=None, timeout=30):
    """A reply of the host, as bytes."""
    data = None if message is None else json.dumps(message).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data), timeout=timeout) as reply:
        return reply.read()


@contextlib.contextmanager
def started(script, options, ready, folder, *paths):
    """Runs a Python script of a host until the block ends, and waits until its address `ready` answers.

    Args:
        folder: where it runs and writes log.txt.
        paths: folders that its Python looks into first.
    """
    places = (*paths, ROOT / "src", ROOT / "tests")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    with (folder / "log.txt").open("wb") as log:
        command = [sys.executable, str(SCRIPT), str(script), *map(str, options)]
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
    try:
        wait(ready, lambda: server.poll() is None, folder / "log.txt")
        yield
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait(address, alive, log, seconds=600):
    """Waits until an address answers; fails with the log when the program has ended or takes too long."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask(address)
        except OSError:
            assert alive(), log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.5)

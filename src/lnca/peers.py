"""Processes that share one picture: starting them, joining them, and their communication.

`torchrun` starts them on any number of machines; `start` starts them on this machine. In both cases the environment of
each process has its number and the address of the others, as `torch.distributed` expects.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

from .errors import HOW_TO_GET_TORCH, LncaError

# Timeout: the first process may take long to read a large picture before the others get anything.
PATIENCE = timedelta(days=2)
# Bytes that are sent at a time.
PIECE = 64e6
LOST = "another of the processes that share this work has ended; it says why"


def started() -> int:
    """Number of processes that share the work of this command; 1 without others."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def start(count: int) -> int:
    """Runs this command again in `count` processes on this machine, which meet on its loopback address.

    Returns:
        The exit status: the first one that is not 0, after which the other processes are ended.

    Raises:
        LncaError: PyTorch is not installed.
    """
    if find_spec("torch") is None:
        raise LncaError(f"several processes share a picture by PyTorch: {HOW_TO_GET_TORCH}")
    import socket
    import subprocess

    import torch.distributed as dist

    # Pass the open socket on, so that no other program can take the port; only on the loopback address.
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        store = dist.TCPStore(
            "127.0.0.1", port, is_master=True, wait_for_workers=False, master_listen_fd=os.dup(listening.fileno())
        )
    shared = {
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
    }
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    processes: list[subprocess.Popen] = []
    try:
        for number in range(count):
            own = {**shared, **os.environ, "RANK": str(number), "LOCAL_RANK": str(number)}
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "lnca", *sys.argv[1:]], env=own, stdin=subprocess.DEVNULL if number else None
                )
            )
        while True:
            ended = [process.poll() for process in processes]
            failed = [status for status in ended if status]
            if failed or None not in ended:
                return _status(failed[0]) if failed else 0
            time.sleep(0.05)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        signal.signal(signal.SIGTERM, before)
        del store


def _status(code: int) -> int:
    """The exit status in the form of a shell."""
    return code if code > 0 else 128 - code


def share(rows: int, count: int) -> list[range]:
    """Divides `rows` into `count` bands of nearly equal size; the last ones are empty if there are fewer rows."""
    least, more = divmod(rows, count)
    ends = [least * number + min(number, more) for number in range(count + 1)]
    return [range(begin, end) for begin, end in pairwise(ends)]


def widened(band: range, border: int, rows: int) -> range:
    """A band with `border` more rows above and below, within `rows`."""
    if not band:
        return band
    return range(max(band.start - border, 0), min(band.stop + border, rows))


def overlap(one: range, other: range) -> range:
    """The common part of two ranges."""
    return range(max(one.start, other.start), min(one.stop, other.stop))


class Peers:
    """This process and the others; see `joined`.

    Attributes:
        number: number of this process; 0 leads.
        count: number of all processes.
    """

    def __init__(self) -> None:
        import torch.distributed as dist

        self.number, self.count = dist.get_rank(), dist.get_world_size()

    def tell(self, what: dict[str, Any] | None) -> None:
        """Sends JSON data to the other processes, which have to call `hear`."""
        import torch
        import torch.distributed as dist

        words = torch.tensor(list(json.dumps(what).encode()), dtype=torch.uint8)
        dist.broadcast(torch.tensor([len(words)]), 0)
        dist.broadcast(words, 0)

    def hear(self) -> dict[str, Any] | None:
        """Receives the data that the first process sends with `tell`."""
        import torch
        import torch.distributed as dist

        size = torch.zeros(1, dtype=torch.int64)
        dist.broadcast(size, 0)
        words = torch.empty(int(size), dtype=torch.uint8)
        dist.broadcast(words, 0)
        return json.loads(bytes(words.tolist()))

    def send(self, rows: np.ndarray, axis: int, to: int) -> None:
        """Sends an array in pieces along one axis, without a copy of the whole array."""
        import torch.distributed as dist

        for piece in _pieces(rows, axis):
            # Copy, since torch warns of read-only arrays.
            dist.send(_bytes_of(np.array(piece, order="C")), to)

    def receive(self, rows: np.ndarray, axis: int, sender: int) -> None:
        """Fills an array with the data of `send` in another process."""
        import torch.distributed as dist

        for piece in _pieces(rows, axis):
            received = np.empty(piece.shape, piece.dtype)
            dist.recv(_bytes_of(received), sender)
            piece[...] = received

    def exchange(self, rows: np.ndarray, bands: Sequence[range], border: int) -> None:
        """Fills the borders of a band with the neighbours' rows.

        Args:
            rows: (B, rows, ...): this process's band, `widened` by `border`.
            bands: bands of all processes.
            border: number of rows; if a neighbour's band is shorter, the others come from further neighbours.
        """
        import torch.distributed as dist

        height = bands[-1].stop
        own, here = bands[self.number], widened(bands[self.number], border, height)
        operations, received = [], []
        for number, band in enumerate(bands):
            if number == self.number:
                continue
            out, into = overlap(own, widened(band, border, height)), overlap(band, here)
            if out:
                sent = np.ascontiguousarray(rows[:, out.start - here.start : out.stop - here.start])
                operations.append(dist.P2POp(dist.isend, _bytes_of(sent), number))
            if into:
                place = rows[:, into.start - here.start : into.stop - here.start]
                room = np.empty(place.shape, place.dtype)
                operations.append(dist.P2POp(dist.irecv, _bytes_of(room), number))
                received.append((place, room))
        if operations:
            for work in dist.batch_isend_irecv(operations):
                work.wait()
        for place, room in received:
            place[...] = room


def _bytes_of(x: np.ndarray) -> Any:
    """A contiguous array as a tensor of its bytes in the same memory, since torch sends only few number types."""
    import torch

    return torch.from_numpy(x.reshape(-1).view(np.uint8))


def _pieces(rows: np.ndarray, axis: int) -> list[np.ndarray]:
    """Yields views of an array, one after the other along an axis."""
    if not rows.size:
        return []
    count = max(1, int(PIECE // (rows.nbytes / rows.shape[axis])))
    return [rows[(slice(None),) * axis + (slice(begin, begin + count),)] for begin in range(0, rows.shape[axis], count)]


@contextmanager
def joined() -> Iterator[Peers]:
    """A context that connects the processes of this command; they communicate by gloo.

    Raises:
        LncaError: the others do not connect, or one of them ends early.
    """
    import torch.distributed as dist

    try:
        dist.init_process_group("gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise LncaError(f"the processes that share this work do not find each other: {_first_line(error)}") from error
    try:
        yield Peers()
    except dist.DistBackendError as error:
        raise LncaError(LOST) from error
    except RuntimeError as error:
        # gloo raises this when a connection ends.
        if "onnection" not in str(error):
            raise
        raise LncaError(LOST) from error
    finally:
        dist.destroy_process_group()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]

"""Memory of a computation."""

import re
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor, nn


def peak_memory() -> int | None:
    """The largest number of bytes that this process had in memory, from /proc; None on systems without it.

    `getrusage` does not help: after fork and exec its peak begins with that of the parent.
    """
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


class SavedBytes:
    """A context that counts the bytes that autograd keeps between forward and backward passes.

    Each storage counts once, as long as anything keeps it. Parameters do not count, nor tensors that a backward pass
    computes again.

    Args:
        model: its parameters do not count.

    Attributes:
        most: the largest number of bytes at any time so far.
    """

    def __init__(self, model: nn.Module):
        self.most = 0
        self._now = 0
        self._users: dict[int, int] = {}
        self._left_out = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(lambda x: _Kept(self, x), lambda kept: kept.tensor)

    def __enter__(self) -> "SavedBytes":
        self._hooks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.__exit__(kind, error, trace)

    def add(self, x: Tensor, users: int) -> None:
        """Adds or removes users of a tensor's storage."""
        storage = x.untyped_storage()
        address = storage.data_ptr()
        if address in self._left_out:
            return
        before = self._users.get(address, 0)
        self._users[address] = before + users
        if before == 0 or before + users == 0:
            self._now += users * storage.nbytes()
            self.most = max(self.most, self._now)


class _Kept:
    """A tensor that autograd keeps."""

    def __init__(self, count: SavedBytes, tensor: Tensor):
        self.count, self.tensor = count, tensor.detach()
        count.add(self.tensor, 1)

    def __del__(self) -> None:
        self.count.add(self.tensor, -1)

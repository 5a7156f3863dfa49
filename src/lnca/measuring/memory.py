"""What a computation keeps in memory."""

import re
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor, nn


def peak_memory() -> int | None:
    """The most bytes this process ever had in memory; None where the system does not say (it is read from /proc).

    Not `getrusage`, whose peak begins, after fork and exec, at what the parent had.
    """
    try:
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


class SavedBytes:
    """Counts, while it is entered, the bytes that autograd keeps from forward to backward passes.

    Each storage counts once and for as long as anything keeps it. Parameters do not count, nor does what a backward
    pass computes again.

    Args:
        model: whose parameters are left out.

    Attributes:
        most: the largest sum at any time so far.
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
        """One user more, or less, of a tensor's storage."""
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
    """A tensor in autograd's hands."""

    def __init__(self, count: SavedBytes, tensor: Tensor):
        self.count, self.tensor = count, tensor.detach()
        count.add(self.tensor, 1)

    def __del__(self) -> None:
        self.count.add(self.tensor, -1)

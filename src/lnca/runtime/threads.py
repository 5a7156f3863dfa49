"""The number of threads that restoring uses in this process, and work of numpy's that is shared out to them."""

import os
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_count: int | None = None


def count() -> int:
    """As many as `allow` said, else OMP_NUM_THREADS, else one for each processor that this process may use."""
    if _count is not None:
        return _count
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(told) if told.isdecimal() and int(told) else available()


def allow(threads: int) -> None:
    """From now on so many, 1 or more."""
    global _count
    _count = max(1, threads)


def available() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share(size: int, band: int, work: Callable[[slice], None], *, alone: bool = False) -> None:
    """Does some work on each band of a range of `size`, several at a time; numpy lets others run while it computes. The
    bands are the same with any number of threads.

    Args:
        band: size of a band.
        work: writes what no other band reads or writes.
        alone: it is so little that it is done before a second thread is awake.
    """
    left = deque(slice(begin, min(begin + band, size)) for begin in range(0, size, band))

    def take() -> None:
        while True:
            try:
                part = left.popleft()
            except IndexError:
                return
            work(part)

    helpers = 0 if alone else min(count(), len(left)) - 1
    # Threads do not live on in a process that forks.
    helping = [_pool(os.getpid()).submit(take) for _ in range(helpers)]
    try:
        take()
    finally:
        # Who has not begun by now has nothing left to do; nor have the others where something went wrong.
        left.clear()
        begun = [helper for helper in helping if not helper.cancel()]
    for helper in begun:
        helper.result()


@cache
def _pool(process: int) -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix=f"lnca-{process}")

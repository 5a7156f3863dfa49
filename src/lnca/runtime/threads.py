"""The number of threads for restoring in this process, and parallel work in numpy."""

import os
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_count: int | None = None


def count() -> int:
    """The number of threads: set by `allow`, else by OMP_NUM_THREADS, else one for each CPU of this process."""
    if _count is not None:
        return _count
    variable = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(variable) if variable.isdecimal() and int(variable) else available()


def allow(threads: int) -> None:
    """Sets the number of threads, at least 1."""
    global _count
    _count = max(1, threads)


def available() -> int:
    """The number of CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def share(size: int, band: int, work: Callable[[slice], None], *, alone: bool = False) -> None:
    """Calls `work` for each band of a range of `size`, in several threads; numpy releases the global interpreter lock
    while it computes. The bands do not depend on the number of threads.

    Args:
        size: size of the range.
        band: size of a band.
        work: takes a band; it must not write to what other bands read or write.
        alone: use one thread, because the work is done before a second one would have woken up.
    """
    remaining = deque(slice(begin, min(begin + band, size)) for begin in range(0, size, band))

    def take() -> None:
        while True:
            try:
                part = remaining.popleft()
            except IndexError:
                return
            work(part)

    others = 0 if alone else min(count(), len(remaining)) - 1
    # A forked process does not inherit threads, and needs its own pool.
    futures = [_pool(os.getpid()).submit(take) for _ in range(others)]
    try:
        take()
    finally:
        # Helpers that have not started yet are not needed; after an error the other bands are dropped.
        remaining.clear()
        started = [helper for helper in futures if not helper.cancel()]
    for helper in started:
        helper.result()


@cache
def _pool(process: int) -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix=f"lnca-{process}")

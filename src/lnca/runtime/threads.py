"""How many threads the kernels use in this process."""

import os

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

"""Settings for freed memory in this process."""

import ctypes

# Parameters of `mallopt`, from glibc's malloc.h.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
KEPT = 2**30
GIVEN_BACK = 2**20
# Older versions refuse larger values.
ACCEPTED = 2**25


def keep_freed_memory() -> None:
    """Makes glibc keep up to a gigabyte of freed memory, instead of returning large blocks to the system.

    Bands of pictures allocate the same blocks again and again, and the system would clear them each time, which takes
    part of the time of a restoration. The setting applies to the whole process, so only commands use it, not the
    library. Without glibc it does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    if not mallopt(MMAP_THRESHOLD, KEPT):
        mallopt(MMAP_THRESHOLD, ACCEPTED)
    mallopt(TRIM_THRESHOLD, KEPT)
    mallopt(TOP_PAD, KEPT // 4)


def give_freed_memory_back() -> None:
    """Makes glibc return every freed block of a megabyte or more to the system, for commands with a memory limit; by
    default it learns to keep such blocks. Without glibc it does nothing."""
    try:
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, GIVEN_BACK)
    except (AttributeError, OSError, TypeError):
        return


def manage_freed_memory(*, limited: bool) -> None:
    """The setting for commands that restore: returns freed memory if the memory is `limited`, else keeps it."""
    if limited:
        give_freed_memory_back()
    else:
        keep_freed_memory()

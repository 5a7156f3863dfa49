"""What this process does with memory that it has freed."""

import ctypes

# Of `mallopt`, as glibc's malloc.h numbers them.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
KEPT = 2**30
GIVEN_BACK = 2**20
# More than this older versions refuse.
ACCEPTED = 2**25


def keep_freed_memory() -> None:
    """Has glibc keep what is freed, up to a gigabyte of it, where it would give large blocks back to the system.

    Bands of pictures ask for the same blocks again and again, and the system clears them each time, which takes some of
    the time of a restoration. Since it holds for the whole process, commands ask for it and the library does not. Does
    nothing where there is no glibc.
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
    """Has glibc give the system every block of a megabyte or more as it is freed, where it would learn to keep such
    blocks; for commands that were allowed so much memory and no more. Does nothing where there is no glibc."""
    try:
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, GIVEN_BACK)
    except (AttributeError, OSError, TypeError):
        return


def manage_freed_memory(*, limited: bool) -> None:
    """What a command does that restores: gives freed memory back where what it may use is `limited`, else keeps it."""
    if limited:
        give_freed_memory_back()
    else:
        keep_freed_memory()

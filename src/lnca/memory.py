"""What this process does with memory that it has freed."""

import ctypes

# Of `mallopt`, as glibc's malloc.h numbers them.
TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
KEPT = 2**30
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

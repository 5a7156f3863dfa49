"""Disks that fail: at the n-th byte, when a file is synced or closed, or when it gets its name."""

import errno
import os
from contextlib import contextmanager
from io import FileIO

import pytest

import lnca.files

FAULTS = ("open", "write", "half", "last byte", "sync", "close", "rename")


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def failing(fault, number=errno.ENOSPC, room=0):
    """What `lnca.files` writes fails.

    Args:
        fault: one of `FAULTS`.
        number: of the system's error.
        room: bytes that can be written before "half" and "last byte" fail, all files together.
    """

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    left = 0 if fault == "write" else room if fault in ("half", "last byte") else 10**12

    class Raw(FileIO):
        def write(self, data):
            nonlocal left
            if not left:
                fail()
            # Like a disk that is nearly full: first write fewer bytes.
            part = memoryview(data)[:left]
            left -= len(part)
            return super().write(part)

        def close(self):
            was_open = not self.closed
            super().close()
            if was_open and fault == "close":
                fail()

    def opened(path, flags, *rest, **options):
        if flags & os.O_CREAT:
            fail()
        return os_open(path, flags, *rest, **options)

    os_open = os.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lnca.files, "FileIO", Raw)
        if fault == "sync":
            patch.setattr(os, "fsync", fail)
        if fault == "rename":
            patch.setattr(os, "replace", fail)
        if fault == "open":
            patch.setattr(os, "open", opened)
        yield

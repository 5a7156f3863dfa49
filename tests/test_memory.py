"""Memory that commands keep."""

import ctypes
import platform
import subprocess
import sys

import pytest

from lnca import memory

# Blocks that are freed and allocated again: page faults in the last round.
AGAIN = """
import resource
from lnca.memory import keep_freed_memory
{}
for _ in range(8):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for number in range(2**26, 2**26 + 4):
        b"x" * number
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries' memory is not ours to keep")
def test_what_is_freed_is_kept():
    def faults(first: str) -> int:
        run = subprocess.run([sys.executable, "-c", AGAIN.format(first)], capture_output=True, text=True, check=True)
        return int(run.stdout)

    assert faults("keep_freed_memory()") < faults("") / 10


# Several blocks are freed, those of a megabyte below one that stays: memory that is still in use.
LEFT = r"""
import re
from pathlib import Path
from lnca.memory import give_freed_memory_back
{}
def resident_memory():
    return 1024 * int(re.search(r"VmRSS:\s*(\d+) kB", Path("/proc/self/status").read_text())[1])
b"x" * 2**24
before = resident_memory()
blocks = [b"x" * (2**20 + 2**16) for _ in range(50)]
pin = b"x" * 100_000
del blocks
print(resident_memory() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries' memory is not ours to give back")
def test_what_is_freed_is_given_back():
    def left(first: str) -> int:
        run = subprocess.run([sys.executable, "-c", LEFT.format(first)], capture_output=True, text=True, check=True)
        return int(run.stdout)

    assert left("give_freed_memory_back()") < 5e6
    assert left("") > 10e6


def test_without_glibc_nothing_is_done(monkeypatch):
    class Other:
        def __init__(self, name: None):
            pass

    monkeypatch.setattr(ctypes, "CDLL", Other)
    memory.keep_freed_memory()
    memory.give_freed_memory_back()


def test_older_versions_keep_as_much_as_they_can(monkeypatch):
    asked = []

    class Older:
        def __init__(self, name: None):
            pass

        def mallopt(self, option: int, value: int) -> int:
            asked.append((option, value))
            return int(option != memory.MMAP_THRESHOLD or value <= memory.ACCEPTED)

    monkeypatch.setattr(ctypes, "CDLL", Older)
    memory.keep_freed_memory()
    memory.give_freed_memory_back()
    assert (memory.MMAP_THRESHOLD, memory.ACCEPTED) in asked

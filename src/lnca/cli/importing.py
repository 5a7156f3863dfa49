"""Imports of commands, which are over sooner than Python's search for garbage expects."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """While modules are imported, Python does not look through them for garbage, nor does it later or when it ends:
    they all stay. That takes a tenth of the time of a short command."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()

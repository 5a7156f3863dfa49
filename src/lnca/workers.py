"""Worker processes that an interrupt does not make noisy, and that do not outlive what began them."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any

from .idle import let_idle_threads_sleep


class QuietWorkers(ProcessPoolExecutor):
    """`count` fresh processes that leave Ctrl-C to this one.

    Leaving the block waits for all that was submitted, and a second Ctrl-C does not leave workers behind, nor does the
    killing of this process.
    """

    def __init__(self, count: int):
        super().__init__(count, mp_context=get_context("spawn"), initializer=_begin)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """As the base class, which starts processes here: one keeps an ignored signal, even while it imports."""
        with _ignoring_interrupts():
            return super().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As the base class."""
        with _ignoring_interrupts():
            super().shutdown(wait, cancel_futures=cancel_futures)


def _begin() -> None:
    """The first that a worker does, before what it is to do is imported."""
    let_idle_threads_sleep()
    _end_with_parent()


def _end_with_parent() -> None:
    """Has this worker end when its parent is killed: workers keep each other's pipes open, and none would notice."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

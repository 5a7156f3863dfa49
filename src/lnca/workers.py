"""Worker processes that stay quiet on Ctrl-C, and end with their parent."""

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
    """`count` new processes that leave Ctrl-C to their parent.

    Leaving the block waits for all submitted work. Neither a second Ctrl-C nor killing this process leaves workers
    behind.
    """

    def __init__(self, count: int):
        super().__init__(count, mp_context=get_context("spawn"), initializer=_begin)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Like the base class, which starts processes here. They inherit the ignored signal, even while they import."""
        with _ignoring_interrupts():
            return super().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Like the base class."""
        with _ignoring_interrupts():
            super().shutdown(wait, cancel_futures=cancel_futures)


def _begin() -> None:
    """The first action of a worker, before it imports its work."""
    let_idle_threads_sleep()
    _end_with_parent()


def _end_with_parent() -> None:
    """Ends this worker when its parent is killed; otherwise it would not notice, since workers keep each other's pipes
    open."""
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

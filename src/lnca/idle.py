"""What a command says to the libraries that it imports about their threads."""

import os


def let_idle_threads_sleep() -> None:
    """Has this process, and those that it starts, have no threads that spin while they have nothing to do, unless the
    environment says otherwise: those of OpenMP, which torch uses, sleep, and OpenBLAS, which numpy uses, has none.
    Before these are imported, which read it.

    Where another program wants the processor too, such threads use up their share of it doing nothing, and may then
    keep the rest waiting when there is something to do (`benchmarks/busy.py` measures it). What restores has threads of
    its own (`runtime.threads`).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

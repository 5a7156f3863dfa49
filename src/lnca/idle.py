"""Sets how threads of other libraries wait, for commands."""

import os


def let_idle_threads_sleep() -> None:
    """Avoids threads that spin while they have no work, in this process and its children, unless the environment says
    otherwise: OpenMP threads, which torch uses, sleep, and OpenBLAS, which numpy uses, gets no threads. Call it before
    these libraries are imported, since they read the environment then.

    Beside another program, spinning threads waste their share of the CPU, and may then be late when there is work
    (`benchmarks/busy.py` measures it). Restoring has threads of its own (`runtime.threads`).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import os, sys, time
from lnca.workers import QuietWorkers

if __name__ == "__main__":
    with QuietWorkers(2) as pool:
        # Both are there, one at work and one that waits.
        workers = {pool.submit(os.getpid).result() for _ in range(20)} | {*pool._processes}
        pool.submit(time.sleep, 600)
        print(*workers, flush=True)
        time.sleep(600)
"""


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_when_what_began_them_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    with subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True) as parent:
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert workers
        assert all(map(running, workers))
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 60
    while any(map(running, workers)):
        assert time.monotonic() < until, "a worker is still there"
        time.sleep(0.05)

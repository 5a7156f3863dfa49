import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import time
from lnca.workers import QuietWorkers

if __name__ == "__main__":
    with QuietWorkers(2) as pool:
        for work in [pool.submit(time.sleep, 1) for _ in range(2)]:
            work.result()
        # One is at work, the other one waits.
        pool.submit(time.sleep, 600)
        print(*pool._processes, flush=True)
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
        assert len(workers) == 2
        assert all(map(running, workers))
        parent.send_signal(signal.SIGKILL)
    until = time.monotonic() + 60
    while any(map(running, workers)):
        assert time.monotonic() < until, "a worker is still there"
        time.sleep(0.05)

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lnca.workers import QuietWorkers

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


# The environment of a command's process, and whether torch was imported before.
COMMAND = """
import atexit, os, sys
atexit.register(lambda: print(os.environ.get("OMP_WAIT_POLICY"), file=sys.stderr))
from lnca.cli import main
assert "torch" not in sys.modules
main()
"""


@pytest.mark.parametrize(
    ("words", "given", "expected"),
    [("models", None, "PASSIVE"), ("models", "active", "active"), ("train --help", None, "None")],
)
def test_a_command_that_does_not_learn_lets_idle_threads_sleep(words, given, expected):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words.split()], env=environment, capture_output=True, text=True
    )
    assert done.stderr.splitlines()[-1] == expected


def test_so_do_workers_of_a_program_that_does_not(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with QuietWorkers(1) as pool:
        assert pool.submit(os.getenv, "OMP_WAIT_POLICY").result() == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in os.environ

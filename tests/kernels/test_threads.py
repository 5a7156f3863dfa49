"""The library's own threads: they work, sleep without work, and do not block a forked process."""

import json
import os
import subprocess
import sys

import pytest

from lnca.runtime.native import library

pytestmark = [
    pytest.mark.skipif(library() is None, reason="no C++ compiler when lnca was installed"),
    pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc, and forks"),
]

# Only the library has threads here: torch gets one, and the library three.
FACTS = """
import json, os, time
from concurrent.futures import ThreadPoolExecutor
import torch
import lnca
from lnca.kernels.cpu import FusedRun
from lnca.runtime import threads

torch.set_num_threads(1)
threads.allow(1)
torch.manual_seed(0)
rule = lnca.build("latent-nafca").eval().automaton
torch.nn.init.normal_(rule.head.weight, std=0.05)
run = FusedRun(rule)
cells = rule.seed(torch.randn(1, 24, 32, rule.input_channels))
alone = run(cells, 6, 1)
threads.allow(3)

def right():
    return torch.equal(run(cells, 6, 1), alone)

def tasks():
    return len(os.listdir("/proc/self/task"))

facts, before = {}, tasks()
facts["right"] = right()
facts["started"] = tasks() - before
facts["right again"] = all(right() for _ in range(3))
facts["kept"] = tasks() - before
begin = time.process_time()
time.sleep(0.3)
facts["idle"] = time.process_time() - begin
with ThreadPoolExecutor(5) as pool:
    facts["right at once"] = all(pool.map(lambda _: right(), range(40)))
child = os.fork()
if not child:
    os._exit(0 if right() and tasks() == 3 else 3)
for _ in range(300):
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        break
    time.sleep(0.1)
else:
    os.kill(child, 9)
facts["child"] = status if done else "hangs"
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def facts():
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run([sys.executable, "-c", FACTS], env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def test_they_are_started_once_and_change_nothing(facts):
    assert facts["right"]
    assert facts["right again"]
    assert facts["started"] == facts["kept"] == 2


def test_they_take_no_time_while_there_is_no_work(facts):
    assert facts["idle"] < 0.02


def test_several_callers_at_once_get_what_one_gets(facts):
    assert facts["right at once"]


def test_a_forked_process_has_threads_of_its_own(facts):
    """OpenMP would wait forever for threads that only the parent has."""
    assert facts["child"] == 0

"""The number of threads, and work that they share."""

import os

import pytest
from rules import allowed

from lnca.runtime import threads


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("size", [0, 1, 7, 64])
def test_every_place_is_worked_on_once(size, count):
    done = [0] * size

    def work(part):
        assert part.stop - part.start <= 3
        for place in range(part.start, part.stop):
            done[place] += 1

    with allowed(count):
        threads.share(size, 3, work)
    assert done == [1] * size


@pytest.mark.parametrize("count", [1, 3])
def test_what_goes_wrong_in_a_thread_is_raised(count):
    def work(part):
        if part.start == 4:
            raise ValueError(part.start)

    with allowed(count), pytest.raises(ValueError, match="4"):
        threads.share(100, 2, work)


def test_the_environment_says_how_many(monkeypatch):
    monkeypatch.setattr(threads, "_count", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert threads.count() == 3
    for nonsense in ("", "0", "many", "-2"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert threads.count() == threads.available()
    assert 1 <= threads.available() <= (os.cpu_count() or 1)
    threads.allow(0)
    assert threads.count() == 1

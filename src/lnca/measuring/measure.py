"""Timing side by side: every round runs each candidate once, in a new random order, so that a busy moment of the
machine affects all candidates alike."""

import math
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from ..paper.experiment import device_name
from ..runtime.native import BFLOAT16_SETS, INSTRUCTION_SETS, best_level, loaded_library
from ..training.plan import commit

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Timing:
    """Seconds of one candidate.

    Args:
        median: median of the rounds.
        low, high: lower and upper quartile.
        rounds: number of rounds.
        launch: on a GPU, the median time until the call returns, which the paper may have measured instead; else None.
    """

    median: float
    low: float
    high: float
    rounds: int
    launch: float | None = None

    @classmethod
    def of(cls, times: list[float], launch: float | None = None) -> "Timing":
        """The timing of one candidate from its rounds."""
        low, median, high = (float(value) for value in np.quantile(times, (0.25, 0.5, 0.75)))
        return cls(median, low, high, len(times), launch)

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def rounds_of(
    candidates: Mapping[Key, Callable[[], Result]], rounds: int, budget: float = math.inf
) -> dict[Key, list[Result]]:
    """The results of each candidate in each round, after one warm-up round.

    Args:
        candidates: functions by name.
        rounds: largest number of rounds.
        budget: seconds after which no further round begins (there are at least three rounds).
    """
    results: dict[Key, list[Result]] = {name: [] for name in candidates}
    order = random.Random(0)
    start = time.perf_counter()
    for number in range(rounds + 1):
        if number > 3 and time.perf_counter() - start > budget:
            break
        for name in order.sample(list(candidates), len(candidates)):
            result = candidates[name]()
            if number:
                results[name].append(result)
    return results


def in_turn(candidates: Mapping[Key, Callable[[], float]], rounds: int, budget: float = math.inf) -> dict[Key, Timing]:
    """Medians over rounds of the seconds that the candidates return; see `rounds_of`."""
    return {name: Timing.of(times) for name, times in rounds_of(candidates, rounds, budget).items()}


def time_together(
    candidates: dict[str, Callable[[], object]], rounds: int, device: torch.device, budget: float = math.inf
) -> dict[str, Timing]:
    """Medians over rounds of the time of each candidate; see `rounds_of`.

    Args:
        device: is synchronised before and after each call.
    """

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def timed(run: Callable[[], object]) -> tuple[float, float]:
        wait()
        begin = time.perf_counter()
        run()
        called = time.perf_counter() - begin
        wait()
        return time.perf_counter() - begin, called

    found = rounds_of({name: partial(timed, run) for name, run in candidates.items()}, rounds, budget)
    launch = {name: statistics.median(called for _, called in times) for name, times in found.items()}
    return {
        name: Timing.of([whole for whole, _ in times], launch[name] if device.type == "cuda" else None)
        for name, times in found.items()
    }


def matrix_rate(device: torch.device, precision: torch.dtype, rounds: int = 5) -> float:
    """Operations a second in a large matrix product: the upper limit on this device."""
    size = 4096 if device.type == "cuda" else 1024
    a, b = (torch.randn(size, size, device=device).to(precision) for _ in range(2))
    timing = time_together({"product": lambda: a @ b}, rounds, device)["product"]
    return 2 * size**3 / timing.low


def register_rate(precision: torch.dtype, rounds: int = 5) -> float | None:
    """Operations a second of multiplications and additions in registers, on as many cores as torch has threads: the
    upper limit of any CPU kernel. None without the compiled kernels, or without kernels for the precision."""
    level = best_level()
    if level is None or (precision == torch.bfloat16 and level not in BFLOAT16_SETS):
        return None
    run = partial(
        loaded_library().lnca_multiply_add, INSTRUCTION_SETS.index(level), 2_000_000, precision == torch.bfloat16
    )
    threads = torch.get_num_threads()
    rates = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(rounds):
            start = time.perf_counter()
            done = sum(pool.map(lambda _: run(), range(threads)))
            rates.append(done / (time.perf_counter() - start))
    return max(rates)


def environment(device: torch.device) -> dict[str, Any]:
    """The environment of a measurement: device, threads and versions."""
    return {
        "device": device_name(device),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "kernels": best_level(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": commit(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()

"""Tables 3 and 4: the memory of training and the time of an epoch, with the real trainers; and the cost of each way to
back-propagate through the steps.

Pictures are random and the learning rate is 0, so the weights do not change; the work is the same. Every
candidate has its own process, and only one of them works at a time: what one keeps or compiles does not affect
another.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from ..architectures import resolve
from ..kernels.devices import use_threads
from ..randomness import generator
from ..training.batch import Batch
from ..training.optimizer import OptimizerSettings
from ..training.recipe import (
    PHASES,
    AutoencoderPhase,
    AutomatonPhase,
    Backward,
    DirectPhase,
    PixelPhase,
    Recipe,
    ResidualPhase,
)
from ..training.trainers import trainer_of
from ..workers import QuietWorkers
from .inference import model_of
from .measure import environment, in_turn
from .memory import SavedBytes, peak_memory

# Number of batches for the trainer's schedule; the learning rate is 0.
BATCHES = 1000
# Training and validation samples among the paper's 1000 dummy samples.
TRAINING_SAMPLES, VALIDATION_SAMPLES = 800, 200
MOST_STEPS, MEAN_STEPS = 32, 20
STILL = OptimizerSettings(learning_rate=0.0)
# Largest share of the free memory that a measurement on the CPU is expected to take.
MEMORY_SHARE = 0.7


@dataclass(frozen=True)
class Job:
    """The task of one process.

    Args:
        model: name of a model.
        phase: "autoencoder" or "automaton" for the latent models, else "whole".
        side, batch: side of the pictures and batch size.
        steps: steps of the automaton.
        backward, compile: see `Recipe`.
        device: "cpu" or "cuda".
        threads: number of torch's threads.
    """

    model: str
    phase: str
    side: int
    batch: int
    steps: int
    backward: Backward = "keep"
    compile: bool = False
    device: str = "cpu"
    threads: int = field(default_factory=torch.get_num_threads)


def phases(model: str) -> tuple[str, ...]:
    """The phases of a model's training that matter for the cost."""
    return ("autoencoder", "automaton") if model.startswith("latent-") else ("whole",)


def phase_of(job: "Job") -> str:
    """The phase of a recipe that a job trains."""
    return PHASES[resolve(job.model, {})[0]][0] if job.phase == "whole" else job.phase


def _recipe(job: Job) -> Recipe:
    steps: dict[str, Any] = {"fewest_steps": job.steps, "most_steps": job.steps, "optimizer": STILL}
    return replace(
        Recipe(),
        batch_size=job.batch,
        backward=job.backward,
        compile=job.compile,
        exploded=math.inf,
        autoencoder=AutoencoderPhase(optimizer=STILL),
        automaton=AutomatonPhase(**steps),
        vitca=PixelPhase(**steps),
        residual=ResidualPhase(**steps, settled=0.0),
        nafnet=DirectPhase(loss="psnr", optimizer=STILL),
        restormer=DirectPhase(loss="l1", optimizer=STILL),
    )


class Bench:
    """A model, its trainer and a batch, in this process."""

    def __init__(self, job: Job):
        use_threads(job.threads)
        self.job, self.device = job, torch.device(job.device)
        self.model = model_of(job.model, self.device).train()
        self.trainer = trainer_of(phase_of(job), self.model, _recipe(job), BATCHES)
        shape = (job.batch, 3, job.side, job.side)
        anchor, positive = torch.rand(shape, device=self.device), torch.rand(shape, device=self.device)
        self.batch = Batch(anchor, positive, torch.arange(job.batch, device=self.device))
        self.drawn = 0

    def train(self) -> None:
        """Takes the gradient steps of one batch."""
        self.drawn += 1
        self.trainer.train_batch(self.batch, generator(self.device, 0, self.drawn))

    def seconds(self, validate: bool = False) -> float:
        """Seconds of one batch."""
        work = (lambda: self.trainer.restore(self.batch.anchor, self.batch.positive)) if validate else self.train
        self._wait()
        start = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - start

    def memory(self) -> dict[str, Any]:
        """Bytes of training, after a batch of warm-up.

        Returns:
            {"saved": bytes kept for the backward pass, and on a GPU the peaks "allocated" and "reserved", on a
            CPU "peak": peak of the process minus its memory before training}.
        """
        before = peak_memory()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self.train()
        with SavedBytes(self.model) as saved:
            self.train()
        if self.device.type == "cuda":
            return {
                "saved": saved.most,
                "allocated": torch.cuda.max_memory_allocated(self.device),
                "reserved": torch.cuda.max_memory_reserved(self.device),
            }
        after = peak_memory()
        return {"saved": saved.most, "peak": None if before is None or after is None else after - before}

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


_bench: Bench | None = None


def _prepare(job: Job) -> None:
    global _bench
    _bench = Bench(job)


def _ask(name: str, *arguments: Any) -> Any:
    """The result of a method of the process's `Bench`; None if there is not enough memory."""
    try:
        return getattr(_bench, name)(*arguments)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "memory" in str(error):
            return None
        raise


class Process:
    """A `Bench` in its own process; close it after use."""

    def __init__(self, job: Job):
        self.job = job
        self._pool = QuietWorkers(1)
        self._pool.submit(_prepare, job).result()

    def ask(self, name: str, *arguments: Any) -> Any:
        """The result of a method of `Bench`."""
        return self._pool.submit(_ask, name, *arguments).result()

    def close(self) -> None:
        self._pool.shutdown()


def _free_memory() -> float:
    """Bytes that a measurement on the CPU may take; infinite if the system does not tell its free memory."""
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            return MEMORY_SHARE * next(1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return math.inf


class Budget:
    """Predicts which jobs are too slow or too large from earlier ones: time and memory grow with the pixels of a
    batch."""

    def __init__(self, limit: float, memory: float):
        self.limit, self.memory = limit, memory
        self._seconds: dict[tuple[str, str], float] = {}
        self._bytes: dict[tuple[str, str], float] = {}

    def learn(self, job: Job, seconds: float | None = None, size: float | None = None) -> None:
        """Stores the time and memory of a job."""
        key, pixels = (job.model, job.phase), job.batch * job.side**2
        if seconds is not None:
            self._seconds[key] = seconds / pixels
        if size is not None:
            self._bytes[key] = size / pixels

    def refuses(self, job: Job) -> str | None:
        """The reason why a job should not start; None if it may."""
        key, pixels = (job.model, job.phase), job.batch * job.side**2
        seconds, size = self._seconds.get(key, 0) * pixels, self._bytes.get(key, 0) * pixels
        if seconds > self.limit:
            return f"a batch would take about {seconds:.0f} s, the limit is {self.limit:g} s"
        if size > self.memory:
            return f"would need about {size / 1e9:.0f} GB"
        return None


def _jobs(models: Sequence[str], sides: Sequence[int], batches: Sequence[int], steps: int, device: str) -> list[Job]:
    """Jobs from small to large, so that a budget can predict the larger ones."""
    shapes = sorted({(side, batch) for side in sides for batch in batches}, key=lambda s: (s[0] ** 2 * s[1], s[0]))
    return [
        Job(model, phase, side, batch, steps, device=device)
        for side, batch in shapes
        for model in models
        for phase in phases(model)
    ]


def measure_memory(
    models: Sequence[str],
    sides: Sequence[int],
    batches: Sequence[int],
    device: torch.device,
    limit: float,
    progress: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Measures Table 3: the automata take the paper's largest number of steps.

    Args:
        limit: seconds; a batch that would take longer is left out.

    Returns:
        {"table", "environment", "steps", "rows": [{"model", "phase", "side", "batch", and the result of `Bench.memory`,
        or "left_out": why}], "pixels_at_equal_memory": see `pixels_at_equal_memory`}.
    """
    budget = Budget(limit, _free_memory() if device.type == "cpu" else math.inf)
    rows = []
    for job in _jobs(models, sides, batches, MOST_STEPS, device.type):
        row = {"model": job.model, "phase": job.phase, "side": job.side, "batch": job.batch}
        why = budget.refuses(job)
        if why is None:
            progress(f"{job.side}x{job.side}, batch of {job.batch}: {job.model}, {job.phase}")
            process = Process(job)
            start = time.perf_counter()
            found = process.ask("memory")
            process.close()
            if found is None:
                why = "no memory"
            else:
                budget.learn(job, (time.perf_counter() - start) / 2, found.get("peak") or found["saved"])
                row |= found
        rows.append(row if why is None else {**row, "left_out": why})
    return {
        "table": "train-memory",
        "environment": environment(device),
        "steps": MOST_STEPS,
        "rows": rows,
        "pixels_at_equal_memory": pixels_at_equal_memory(rows),
    }


def pixels_at_equal_memory(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How many times more pixels than with ViTCA fit into the same memory (the paper says 16).

    Computed from the bytes a pixel that are kept for the backward pass, in the largest measured batch.
    """
    bytes_of: dict[str, float] = {}
    for row in rows:
        if "saved" in row and row["phase"] != "autoencoder":
            bytes_of[row["model"]] = row["saved"] / (row["batch"] * row["side"] ** 2)
    if "vitca" not in bytes_of:
        return {}
    return {name: bytes_of["vitca"] / size for name, size in bytes_of.items() if name.startswith("latent-")}


def measure_latency(
    models: Sequence[str],
    sides: Sequence[int],
    batches: Sequence[int],
    device: torch.device,
    limit: float,
    rounds: int,
    progress: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Measures Table 4: seconds of an epoch of 800 training and 200 validation samples, both phases together.

    The automata take 20 steps, the mean of the paper's range, and 64 at validation. The time of an epoch is the median
    time of a batch times the number of batches; the models of one shape are timed in turn.

    Returns:
        {"table", "environment", "steps", "rows": [{"model", "side", "batch", "seconds": of an epoch, "phases": {name:
        {"train", "validate": timings of a batch}}} or {..., "left_out": why}]}.
    """
    budget = Budget(limit, _free_memory() / max(1, len(models)) if device.type == "cpu" else math.inf)
    rows = []
    jobs = _jobs(models, sides, batches, MEAN_STEPS, device.type)
    for side, batch in dict.fromkeys((job.side, job.batch) for job in jobs):
        here = [job for job in jobs if (job.side, job.batch) == (side, batch)]
        refused = {job.model: why for job in here if (why := budget.refuses(job)) is not None}
        processes: dict[tuple[str, str], Process] = {}
        for job in here:
            if job.model in refused:
                continue
            progress(f"{side}x{side}, batch of {batch}: {job.model}, {job.phase}")
            process = processes[job.model, job.phase] = Process(job)
            seconds, size = process.ask("seconds"), process.ask("memory")
            if seconds is None or size is None:
                refused[job.model] = "no memory"
            else:
                budget.learn(job, seconds, size.get("peak") or size["saved"])
        chosen = {
            (*key, validate): partial(process.ask, "seconds", validate)
            for key, process in processes.items()
            if key[0] not in refused
            for validate in (False, True)
        }
        timings = in_turn(chosen, rounds, limit * max(1, len(chosen)))
        for process in processes.values():
            process.close()
        for model in models:
            row: dict[str, Any] = {"model": model, "side": side, "batch": batch}
            if model in refused:
                rows.append({**row, "left_out": refused[model]})
                continue
            train = {phase: timings[model, phase, False] for phase in phases(model)}
            validate = {phase: timings[model, phase, True] for phase in phases(model)}
            row["seconds"] = sum(
                math.ceil(TRAINING_SAMPLES / batch) * train[phase].median
                + math.ceil(VALIDATION_SAMPLES / batch) * validate[phase].median
                for phase in train
            )
            row["phases"] = {
                phase: {"train": train[phase].as_json(), "validate": validate[phase].as_json()} for phase in train
            }
            rows.append(row)
    return {"table": "train-latency", "environment": environment(device), "steps": MEAN_STEPS, "rows": rows}


WAYS: dict[str, tuple[Backward, bool]] = {
    "keep": ("keep", False),
    "recompute": ("recompute", False),
    "segments": ("segments", False),
    "keep, compiled": ("keep", True),
    "budget, compiled": ("budget", True),
}


def measure_backward(
    models: Sequence[str],
    side: int,
    batch: int,
    device: torch.device,
    rounds: int,
    progress: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Memory and time of each setting `backward` of a recipe in the automaton phase, compared with "keep".

    Returns:
        {"table", "environment", "steps", "side", "batch", "rows": [{"model", "way", "saved": bytes kept for the
        backward pass, "saved_per_cell_and_step", "times_fewer", "seconds": timing of a batch, "times_slower"}]}.
    """
    rows: list[dict[str, Any]] = []
    for model in models:
        processes = {}
        for way, (backward, compile) in WAYS.items():
            progress(f"{model}: {way}")
            phase = phases(model)[-1]
            job = Job(model, phase, side, batch, MEAN_STEPS, backward, compile, device.type)
            processes[way] = Process(job)
            processes[way].ask("seconds")
        saved = {way: process.ask("memory")["saved"] for way, process in processes.items()}
        chosen = {way: partial(process.ask, "seconds") for way, process in processes.items()}
        timings = in_turn(chosen, rounds)
        for process in processes.values():
            process.close()
        cells = batch * (side if model.startswith("vitca") else side // 4) ** 2
        rows += [
            {
                "model": model,
                "way": way,
                "saved": saved[way],
                "saved_per_cell_and_step": saved[way] / (cells * MEAN_STEPS),
                "times_fewer": saved["keep"] / saved[way],
                "seconds": timings[way].as_json(),
                "times_slower": timings[way].median / timings["keep"].median,
            }
            for way in WAYS
        ]
    return {
        "table": "backward",
        "environment": environment(device),
        "steps": MEAN_STEPS,
        "side": side,
        "batch": batch,
        "rows": rows,
    }

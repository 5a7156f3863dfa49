"""Times training with one and with two processes, one thread each: strong scaling (they share a batch) and weak scaling
(each has a batch).

    python benchmarks/train_scaling.py
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from lnca.demo import photograph
from lnca.files import write_whole
from lnca.measuring.measure import environment
from lnca.training.plan import Plan
from lnca.training.recipe import load_recipe
from lnca.training.run import Interrupted, Run
from lnca.training.world import ALONE, Together

RESULTS = Path(__file__).parent / "results" / "train-scaling-cpu.json"
MODEL, PHASES = "latent-nafca", ("autoencoder", "automaton")
BATCH = 16
# Number of batches of each phase, and of first ones that are not measured.
BATCHES, WARM = 30, 6


def work(rank: int, size: int, batch: int, folder: Path) -> None:
    """One process of a world: trains, and the first one prints seconds of each batch, by phase."""
    torch.set_num_threads(1)
    world = ALONE
    if size > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
        world = Together()
    tiles = BATCHES * batch
    recipe = load_recipe(
        "stable",
        [
            f"batch_size={batch}",
            "tile=32",
            f"training_tiles={tiles}",
            "validation_tiles=8",
            "autoencoder.epochs=1",
            "automaton.epochs=1",
            "joint.epochs=0",
        ],
    )
    times: dict[str, list[float]] = {phase: [] for phase in PHASES}

    def note(phase: str, done: int, total: int, values: dict[str, float]) -> None:
        times[phase].append(time.perf_counter())

    plan = Plan(MODEL, "denoise", folder / "pictures", recipe)
    try:
        Run(plan, folder / "run", progress=note, world=world)()
    except Interrupted:
        sys.exit(130)
    finally:
        if size > 1:
            dist.destroy_process_group()
    if rank == 0:
        print(json.dumps({phase: np.diff(at)[WARM:].tolist() for phase, at in times.items()}))


def measured(size: int, batch: int) -> dict[str, list[float]]:
    """Seconds of each batch, by phase."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pictures").mkdir()
        picture = photograph()
        for number, (left, top) in enumerate(itertools.product((0, 180), (0, 180))):
            for angle in range(12):
                turned = picture.rotate(3 * angle).crop((left, top, left + 200, top + 200))
                turned.save(folder / "pictures" / f"{number}-{angle}.png")
        processes = [
            subprocess.Popen(
                [sys.executable, __file__, "--rank", str(rank), str(size), str(batch), name],
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            for rank in range(size)
        ]
        outputs = [process.communicate()[0] for process in processes]
        if any(process.returncode for process in processes):
            raise SystemExit("a process failed")
        return json.loads(outputs[0].splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rank", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.rank:
        rank, size, batch, name = options.rank
        work(int(rank), int(size), int(batch), Path(name))
        return
    ways = {"one process": (1, BATCH), "two, the same batch": (2, BATCH), "two, a batch each": (2, 2 * BATCH)}
    seconds: dict[str, dict[str, list[float]]] = {way: {phase: [] for phase in PHASES} for way in ways}
    for _ in range(options.rounds):
        for way, (size, batch) in ways.items():
            for phase, values in measured(size, batch).items():
                seconds[way][phase].append(float(np.median(values)))
    rows: list[dict[str, Any]] = []
    for phase in PHASES:
        one = np.array(seconds["one process"][phase])
        for way, (size, batch) in ways.items():
            ratios = one / np.array(seconds[way][phase]) * (batch / BATCH)
            rows.append(
                {
                    "phase": phase,
                    "way": way,
                    "processes": size,
                    "batch": batch,
                    "speed": float(np.median(ratios)),
                    "spread": [float(ratios.min()), float(ratios.max())],
                }
            )
            print(f"{phase:12} {way:20} samples a second, against one process: {rows[-1]['speed']:.2f}")
    result = {"environment": environment(torch.device("cpu")), "model": MODEL, "rounds": options.rounds, "rows": rows}
    write_whole(options.out, (json.dumps(result, indent=2) + "\n").encode())
    print(options.out)


if __name__ == "__main__":
    main()

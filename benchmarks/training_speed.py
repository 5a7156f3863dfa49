"""Speed of training with the recipe photo-denoise: megapixels a second of one core, for drawing batches and for
gradient steps, in both phases and for the sizes of its crops.

Batches are crops of the photograph that comes with lnca. Seconds are CPU time, so other work on the machine has little
effect.

    python benchmarks/training_speed.py          # benchmarks/results/training-speed.json
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from lnca.data.crops import CropSet
from lnca.degradation import MARGINS
from lnca.demo import photograph
from lnca.files import write_whole
from lnca.measuring.measure import environment, rounds_of
from lnca.memory import keep_freed_memory
from lnca.nn.pyramid import PyramidAutomaton
from lnca.training.batch import Batch
from lnca.training.pyramid import LevelTrainer, NoiseLevelTrainer, PyramidTrainer
from lnca.training.recipe import Recipe, load_recipe

RESULT = Path(__file__).parent / "results" / "training-speed.json"
ROUNDS = 7


def seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def trainers(recipe: Recipe) -> dict[str, LevelTrainer]:
    """One trainer for each phase, each with its own model."""
    return {
        "noise_level": NoiseLevelTrainer(PyramidAutomaton(), recipe, recipe.noise_level, 1000),
        "pyramid": PyramidTrainer(PyramidAutomaton(), recipe, recipe.pyramid, 1000),
    }


def works(recipe: Recipe, draw: torch.Generator) -> dict[tuple[str, int, str], Callable[[], object]]:
    """The functions to measure, by phase, side of the crops and part; each handles one batch."""
    crops = CropSet([np.asarray(photograph())], 64, MARGINS["photo-denoise"], recipe.batch_size, 1)
    index = torch.arange(recipe.batch_size)
    found: dict[tuple[str, int, str], Callable[[], object]] = {}
    for phase, trainer in trainers(recipe).items():
        settings = getattr(recipe, phase)
        for side in sorted(set(settings.crops)):
            drawing = partial(crops.of_side(side).noisy, index, draw, recipe.augment, settings.plain)
            one = drawing()
            batch = Batch(one.clean, one.noisy, index, level=one.level_BCHW)
            found[phase, side, "draw"] = drawing
            found[phase, side, "step"] = partial(trainer.train_batch, batch, draw)
    return found


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    recipe = load_recipe("photo-denoise")
    draw = torch.Generator().manual_seed(0)
    measured = rounds_of({key: partial(seconds, run) for key, run in works(recipe, draw).items()}, ROUNDS)
    rows: dict[str, dict[str, float]] = {}
    for (phase, side, part), times in measured.items():
        row = rows.setdefault(f"{phase}, crops of {side}", {"megapixels": recipe.batch_size * side * side / 1e6})
        row[part] = statistics.median(times)
    speeds = {
        name: {
            "draw": round(row["megapixels"] / row["draw"], 4),
            "step": round(row["megapixels"] / row["step"], 4),
            "both": round(row["megapixels"] / (row["draw"] + row["step"]), 4),
        }
        for name, row in rows.items()
    }
    for name, speed in speeds.items():
        print(
            f"{name:28} {speed['both']:.3f} megapixels a second and core "
            f"({speed['draw']:.2f} to draw, {speed['step']:.3f} to step)"
        )
    content = {
        "environment": environment(torch.device("cpu")),
        "batch": recipe.batch_size,
        "megapixels a second and core": speeds,
    }
    write_whole(RESULT, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()

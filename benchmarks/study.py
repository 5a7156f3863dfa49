"""Ablation of the parts of an LNCA with a path at full resolution: short training runs that differ in one thing.

All have the same seed and budget, train on the training split and are scored on the validation split; the test split
is for the shipped models. Runs in the result file are not repeated.

    python benchmarks/study.py --data ../shared/data/photos

With `--equal` only the shipped model's parts are trained, with the tiles and epochs of the paper's models
(`results/paper/*-denoise-*-5-epochs-3072-tiles-seed-0.json`), and scored on the test split like them
(`results/equal-budget.json`).
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from lnca import metrics
from lnca.data.splits import Split
from lnca.data.tile_set import open_tiles
from lnca.evaluation.quality import evaluate, pairs
from lnca.files import write_whole
from lnca.kernels.select import accelerate
from lnca.measuring.inference import operations
from lnca.measuring.measure import environment
from lnca.nn.model import RestorationModel, SteppedModel
from lnca.nn.weights_file import load_weights
from lnca.training.plan import Plan
from lnca.training.recipe import load_recipe
from lnca.training.run import Run

RESULTS = Path(__file__).parent / "results"
STEPS = (0, 4, 8, 16, 32, 64)
# Ten epochs of 3072 tiles: 30,720 samples.
BUDGET = ("training_tiles=3072", "residual.epochs=10", "nafnet.epochs=10", "vitca.epochs=10", "validation_tiles=256")

MODEL = "model.lnca."
NO_STEPS = ("residual.fewest_steps=0", "residual.most_steps=0", MODEL + "steps=0")
# Name, model, and changes to the settings of the first recipe.
VARIANTS: list[tuple[str, str, tuple[str, ...]]] = [
    ("NAFCA, path of 16 channels", "lnca", ()),
    ("no steps", "lnca", NO_STEPS),
    ("path of 32 channels over 2x2 pixels", "lnca", (MODEL + "shrink=2", MODEL + "width=32")),
    ("path of 32 channels", "lnca", (MODEL + "width=32",)),
    ("ViTCA's rule", "lnca", (MODEL + "rule=vitca",)),
    ("1 - SSIM weighs 1", "lnca", ("residual.ssim=1.0",)),
    ("no settled batches", "lnca", ("residual.settled=0",)),
    ("NAFNet-tiny", "nafnet-tiny", ()),
]
# Half the samples, with the settings of `lnca-denoise`.
EQUAL = ("residual.epochs=5", MODEL + "width=32")


def train(model: str, data: Path, changes: tuple[str, ...]) -> RestorationModel:
    """Trains with the shipped model's recipe, in a temporary folder."""
    recipe = load_recipe("lnca-denoise", [*BUDGET, "model.lnca={}", *changes])
    with tempfile.TemporaryDirectory() as folder:
        return load_weights(Run(Plan(model, "denoise", data, recipe), Path(folder) / "run")())[0]


@torch.no_grad()
def score(model: RestorationModel, data: Path, split: Split = "validation") -> dict[str, Any]:
    """SSIM and PSNR on the tiles of a split, SSIM by number of steps, size and arithmetic."""
    tiles = open_tiles(data, split, 0, 64)
    # The operations of fused kernels cannot be counted.
    arithmetic = operations(model, 256) / 256**2
    accelerate(model, torch.device("cpu"))
    result: dict[str, Any] = evaluate(model, tiles, "denoise")
    result["parameters"] = sum(p.numel() for p in model.parameters())
    result["operations_per_pixel"] = arithmetic
    if isinstance(model, SteppedModel):
        sums = dict.fromkeys(STEPS, 0.0)
        for clean, corrupted in pairs(tiles, "denoise", None, 0):
            for step, restored in zip(STEPS, model.frames(corrupted, STEPS[-1], only=STEPS), strict=True):
                sums[step] += metrics.ssim(restored, clean).sum().item()
        result["steps"] = {step: total / len(tiles) for step, total in sums.items()}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--equal", action="store_true", help="with as many samples as the paper's models had")
    options = parser.parse_args()
    variants = VARIANTS
    split: Split = "validation"
    path = RESULTS / "study-denoise.json"
    if options.equal:
        variants, split = [("denoise", "lnca", EQUAL)], "test"
        path = RESULTS / "equal-budget.json"
    results = (
        json.loads(path.read_text("utf-8")) if path.exists() else {"environment": environment(torch.device("cpu"))}
    )
    for name, model, changes in variants:
        if name in results:
            continue
        start = time.perf_counter()
        trained = train(model, options.data, changes)
        seconds = time.perf_counter() - start
        results[name] = {
            "model": model,
            "changes": changes,
            "seconds": seconds,
            **score(trained, options.data, split),
        }
        write_whole(path, (json.dumps(results, indent=2) + "\n").encode())
        print(f"{name}: SSIM {results[name]['output']['ssim']['mean']:.4f}, {results[name].get('steps')}", flush=True)


if __name__ == "__main__":
    main()

"""From the literal recipe to the stable one, one change at a time: one epoch per phase, noise of intensity 0.5.

python benchmarks/recipes.py --data ../shared/data/photos --out runs/recipes
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from rich.progress import Progress

from lnca.data.tile_set import open_tiles
from lnca.errors import LncaError
from lnca.evaluation.quality import steps_curve
from lnca.files import write_whole
from lnca.kernels.devices import use_threads
from lnca.restoration.restorer import Restorer
from lnca.training.checkpoint import checkpoints
from lnca.training.plan import Plan
from lnca.training.recipe import load_recipe
from lnca.training.run import Run

RESULTS = Path(__file__).parent / "results" / "recipes.json"
SAME = ["denoise.start=0.5", "denoise.end=0.5", "autoencoder.epochs=1", "automaton.epochs=1"]
ADAM = [
    f"{phase}.optimizer={{learning_rate: {rate}, warmup: 0.1, weight_decay: 1.0e-4, "
    f"normalise_gradients: false, clip_norm: {clip}}}"
    for phase, rate, clip in (("autoencoder", 4.0e-3, 10.0), ("automaton", 1.0e-3, 1.0))
]
VARIANTS: dict[str, tuple[str, list[str]]] = {
    "paper": ("paper", []),
    "paper, batches of 32": ("paper", ["batch_size=32"]),
    "+ AdamW 4e-3 / 1e-3 with warm-up, gradients clipped": ("paper", ["batch_size=32", *ADAM]),
    "+ head at zero, beta = gamma = 0.1": (
        "paper",
        ["batch_size=32", *ADAM, "model.latent-nafca={residual_scale: 0.1, zero_head: true}"],
    ),
    "+ losses of stable (L1, SSIM, latent in its own range)": ("stable", ["joint.epochs=0"]),
    "+ joint phase (stable)": ("stable", ["joint.epochs=1"]),
}


def run_variant(name: str, data: Path, folder: Path, progress: Progress) -> dict[str, Any]:
    """Trains, or continues to train, one variant; returns its losses and its SSIM on the validation split."""
    recipe = load_recipe(VARIANTS[name][0], [*SAME, *VARIANTS[name][1], "compile=true", "precision=bfloat16"])
    bar = progress.add_task(name)
    first: dict[str, float] = {}

    def report(phase: str, done: int, total: int, values: dict[str, float]) -> None:
        first.setdefault(phase, values["loss"])
        progress.update(bar, description=f"{name}: {phase}", completed=done, total=total)

    resume = bool(checkpoints(folder))
    run = Run(Plan("latent-nafca", "denoise", data, recipe), folder, resume=resume, progress=report)
    result: dict[str, Any] = {"batch_size": recipe.batch_size, "first_losses": first}
    try:
        weights = run()
    except LncaError as error:
        return {**result, "stopped": str(error)}
    tiles = open_tiles(data, "validation", 0, recipe.tile, 1024)
    corrupted = run.history[-1]["validation_input_ssim"]
    curve = steps_curve(Restorer(weights, "cpu").stepped, tiles, "denoise")
    finite = {step: value if math.isfinite(value) else None for step, value in curve.items()}
    ceiling = next(r["validation_ssim"] for r in run.history if r["phase"] == "autoencoder")
    return {**result, "input_ssim": corrupted, "ceiling_ssim": ceiling, "ssim": finite}


def read_results() -> dict[str, Any]:
    """The finished variants."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--variants", type=int, nargs="*", default=range(len(VARIANTS)), help="Numbers, from 0.")
    options = parser.parse_args()
    use_threads(options.threads)
    with Progress() as progress:
        for index in options.variants:
            name = list(VARIANTS)[index]
            if name in read_results():
                continue
            result = run_variant(name, options.data, options.out / str(index), progress)
            results = {**read_results(), name: result}
            ordered = {name: results[name] for name in VARIANTS if name in results}
            write_whole(RESULTS, (json.dumps(ordered, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()

"""SSIM against the number of steps, from 0 to 640: does a model improve with every step, and does it stay stable?

The shipped models on the test split, at the paper's difficulty.

    python benchmarks/stability.py --data ../shared/data/photos
"""

import argparse
import json
from pathlib import Path

import torch
from rich.progress import track

import lnca
from lnca import metrics
from lnca.corruption import PAPER_DIFFICULTY
from lnca.data.tile_set import open_tiles
from lnca.evaluation.quality import pairs
from lnca.files import write_whole
from lnca.paper.figures import figure

RESULTS = Path(__file__).parent / "results" / "stability.json"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "quality-steps.png"
STEPS = (0, 1, 2, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 640)


@torch.no_grad()
def curve(name: str, data: Path, limit: int) -> dict[int, float]:
    """Mean SSIM of the decoded picture for each number of steps."""
    restorer = lnca.load(name, "cpu")
    card = restorer.info.card
    tiles = open_tiles(data, "test", card["seed"], card["recipe"]["tile"], limit)
    sums = dict.fromkeys(STEPS, 0.0)
    for clean, corrupted in track(list(pairs(tiles, card["task"], None, card["seed"])), name):
        frames = restorer.stepped.frames(corrupted, STEPS[-1], only=STEPS)
        for step, restored in zip(STEPS, frames, strict=True):
            sums[step] += metrics.ssim(restored, clean).sum().item()
    return {step: round(total / len(tiles), 5) for step, total in sums.items()}


def draw(results: dict[str, dict[str, float]]) -> None:
    """Draws one line for each model, noise on the left, blur on the right."""
    with figure(PICTURE, 1, 2, (9, 3.6)) as (_, axes):
        for axis, task in zip(axes[0], ("denoise", "deblur"), strict=True):
            for name, values in results.items():
                if name.endswith(task):
                    points = [(int(step), value) for step, value in values.items() if int(step)]
                    axis.plot(*zip(*points, strict=True), marker=".", label=name)
            axis.set_xscale("log", base=2)
            axis.set_xlabel("steps")
            axis.set_ylabel("SSIM")
            axis.legend()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=2048, help="tiles")
    options = parser.parse_args()
    results = {}
    for model in (model for model in lnca.models() if model.card["task"] in PAPER_DIFFICULTY):
        values = results[model.name] = {str(k): v for k, v in curve(model.name, options.data, options.limit).items()}
        late = values["640"] - values["64"]
        rising = min(b - a for a, b in zip(list(values.values())[3:], list(values.values())[4:], strict=False))
        print(f"{model.name}: 64 to 640 steps {late:+.4f}; least rise from one to the next, from 4 on: {rising:+.4f}")
    write_whole(RESULTS, (json.dumps({"tiles": options.limit, "ssim": results}, indent=2) + "\n").encode())
    draw(results)


if __name__ == "__main__":
    main()

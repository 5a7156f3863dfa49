"""The control model: a plain residual CNN of five 3x3 layers, trained on the same tiles as the shipped models.

It uses the same split, corruption, curriculum and image losses, as many samples as all phases of the shipped models
together, and the same scores.

    python benchmarks/control_cnn.py --task denoise --data ../shared/data/photos
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor, nn

from lnca import metrics
from lnca.corruption import Task
from lnca.data.tile_set import TileSet, open_tiles
from lnca.evaluation.quality import evaluate
from lnca.files import write_whole
from lnca.randomness import derive, generator
from lnca.training.optimizer import Optimizer, OptimizerSettings
from lnca.training.recipe import load_recipe

RESULTS = Path(__file__).parent / "results"
ADAM = OptimizerSettings(learning_rate=2e-3, warmup=0.1, weight_decay=1e-4, normalise_gradients=False, clip_norm=1.0)


class ResidualCNN(nn.Module):
    """Image (B, 3, H, W) in [0, 1] -> image: input plus a correction that starts at zero. 29,507 parameters."""

    def __init__(self, width: int = 32):
        super().__init__()
        widths = (3, width, width, width, width)
        layers = [nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.SiLU()) for a, b in pairwise(widths)]
        self.body = nn.Sequential(*layers)
        self.last = nn.Conv2d(width, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.last(self.body(x))).clamp(0, 1)


def train(task: Task, tiles: TileSet, seed: int, epochs: int) -> ResidualCNN:
    """Trains the control with the image losses of the recipe "stable"."""
    recipe = load_recipe("stable")
    phase, size = recipe.joint, recipe.batch_size
    curriculum = recipe.curriculum(task)
    torch.manual_seed(derive(seed, "control"))
    model = ResidualCNN()
    batches = len(tiles) // size
    optimizer = Optimizer(model.parameters(), ADAM, epochs * batches)
    for epoch in range(epochs):
        order = torch.randperm(len(tiles), generator=generator("cpu", seed, "control", epoch, "order"))
        difficulty = curriculum.difficulty(epoch, epochs)
        for batch in track(range(batches), f"epoch {epoch + 1} of {epochs}"):
            index = order[batch * size : (batch + 1) * size]
            draw = generator("cpu", seed, "control", epoch, batch)
            clean, corrupted = tiles.pairs(index, task, difficulty, draw)
            with torch.autocast("cpu", torch.bfloat16):
                restored = model(corrupted)
            restored = restored.float()
            error = restored - clean
            loss = phase.reconstruction * error.square().mean() + phase.l1 * error.abs().mean()
            optimizer.step(loss + phase.ssim * (1 - metrics.ssim(restored, clean).mean()))
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=["denoise", "deblur"], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    recipe = load_recipe("stable")
    epochs = recipe.autoencoder.epochs + recipe.automaton.epochs + recipe.joint.epochs
    tiles = open_tiles(options.data, "train", options.seed, recipe.tile)
    model = train(options.task, tiles, options.seed, epochs)
    test = open_tiles(options.data, "test", options.seed, recipe.tile)
    with torch.no_grad():
        scores = evaluate(model, test, options.task, seed=options.seed)
    result = {
        "model": "residual CNN, five 3x3 layers of 32",
        "parameters": sum(p.numel() for p in model.parameters()),
        "task": options.task,
        "seed": options.seed,
        "epochs": epochs,
        "batch_size": recipe.batch_size,
        "torch": torch.__version__,
        **scores,
    }
    path = RESULTS / f"control-{options.task}.json"
    write_whole(path, (json.dumps(result, indent=2) + "\n").encode())
    print(path, f"recovered SSIM {scores['recovered']:.3f}")


if __name__ == "__main__":
    main()

"""Trains what a photo-deblur model makes of echoes at once (`ResidualCoder.listen`), before all is trained together.

That map needs neither cells nor decoder: echoes of a few cells of many blurred crops are found once and gone over many
times. The scores that the cells themselves give to the kernels begin anew, at zero.

    python benchmarks/listener.py --data PHOTOGRAPHS --init START.safetensors --out DIRECTORY
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from lnca.cli.progress import progress_bar
from lnca.data.crops import open_crops
from lnca.data.splits import Split
from lnca.degradation import MARGINS, PhotoTask
from lnca.files import write_whole
from lnca.nn.echoes import echoes
from lnca.nn.latent import LatentAutomaton
from lnca.nn.registry import resolve
from lnca.nn.residual import ResidualCoder
from lnca.nn.weights_file import save_weights
from lnca.randomness import derive, generator
from lnca.training import losses
from lnca.training.optimizer import learning_rate_factor
from lnca.training.recipe import load_recipe
from lnca.training.run import begin_with

TASK: PhotoTask = "photo-deblur"
SIDE = 128
# Of the 32 rows and columns of a crop's cells.
CELLS = slice(4, 29, 8)
AT_ONCE = 20
# Of a batch, and cells of each crop.
CROPS, CELLS_DRAWN = 64, 4
ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "listener.json"


def heard(data: Path, split: Split, seed: int, count: int, scales: int) -> tuple[Tensor, Tensor]:
    """Echoes (crops, cells, channels), in float16, and kernels (crops, 31, 31)."""
    crops = open_crops(data, split, seed, SIDE, count, MARGINS[TASK])
    draw = generator("cpu", seed, "listener", split)
    found, kernels = [], []
    with progress_bar() as bar:
        for first in bar.track(range(0, count, AT_ONCE), description=f"echoes, {split}"):
            index = torch.arange(first, min(first + AT_ONCE, count))
            _, blurred, drawn = crops.blurred(index, draw, augment=split == "train")
            around = echoes(blurred.permute(0, 2, 3, 1), scales)
            found.append(around[:, CELLS, CELLS].flatten(1, 2).half())
            kernels.append(drawn)
    return torch.cat(found), torch.cat(kernels)


def distance(coder: ResidualCoder, echoes_BPC: Tensor, kernels: Tensor) -> Tensor:
    """`losses.kernel` of what is made of echoes alone."""
    assert coder.listen is not None
    assert coder.deconvolution is not None
    scores = coder.listen(echoes_BPC.float().permute(0, 2, 1)[..., None])
    return losses.kernel(kernels, coder.deconvolution.bank, coder.deconvolution.shares(scores))


def fit(coder: ResidualCoder, train: tuple[Tensor, Tensor], steps: int, rate: float, seed: int) -> None:
    listen = coder.listen
    assert listen is not None
    adam = torch.optim.AdamW(listen.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: learning_rate_factor(step, steps, 0.05))
    draw = generator("cpu", seed, "listener", "order")
    sounds, kernels = train
    with progress_bar() as bar:
        for _ in bar.track(range(steps), description="listening"):
            crops = torch.randint(len(sounds), (CROPS,), generator=draw)
            cells = torch.randint(sounds.shape[1], (CELLS_DRAWN,), generator=draw)
            loss = distance(coder, sounds[crops][:, cells], kernels[crops])
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=20000)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    settings = load_recipe(TASK).model["lnca"]
    torch.manual_seed(derive(options.seed, "listener"))
    model = resolve("lnca", settings)[1].build()
    assert isinstance(model, LatentAutomaton)
    begun = begin_with(model, options.init, options.seed)
    coder = model.autoencoder
    assert isinstance(coder, ResidualCoder)
    with torch.no_grad():
        for tensor in (coder.scatter[-1].weight, coder.scatter[-1].bias):
            assert isinstance(tensor, Tensor)
            tensor[coder.width * coder.places :] = 0
    train = heard(options.data, "train", options.seed, options.crops, coder.echoes)
    validation = heard(options.data, "validation", options.seed, 400, coder.echoes)
    fit(coder, train, options.steps, options.rate, options.seed)
    with torch.no_grad():
        found = {
            "train": distance(coder, train[0][:800], train[1][:800]).item(),
            "validation": distance(coder, *validation).item(),
        }
    described = {name: str(value) for name, value in vars(options).items() if name not in ("data", "out")}
    card = {
        "model": "lnca", "task": TASK, "seed": options.seed, "initial": begun, "listener": described, "kernel": found,
        "recipe": asdict(load_recipe(TASK)),
    }  # fmt: skip
    save_weights(options.out / f"{TASK}.safetensors", model, "lnca", settings, json.loads(json.dumps(card)))
    content = {"crops": options.crops, "steps": options.steps, "kernel": found}
    write_whole(RESULT, (json.dumps(content, indent=2) + "\n").encode())
    print(json.dumps(content))


if __name__ == "__main__":
    main()

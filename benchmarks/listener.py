"""Trains what a photo-deblur model makes of echoes at once (`ResidualCoder.listen`), before all is trained together.

That map needs neither cells nor decoder: echoes of a few cells of many blurred crops are found once and gone over many
times. It learns to name the blur (`losses.kernel`), and to choose the filters that leave least of the error that is to
be expected (`losses.filtered`). The scores that the cells themselves give to the kernels are multiplied by --scores.

    python benchmarks/listener.py --data PHOTOGRAPHS --init START.safetensors --out DIRECTORY
"""

import argparse
import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lnca.cli.progress import progress_bar
from lnca.data.crops import open_crops
from lnca.data.splits import Split
from lnca.degradation import KERNEL, MARGINS, PhotoTask, blurred_by
from lnca.files import write_whole
from lnca.nn.echoes import FAR, GAIN, LAGS, STRIDE
from lnca.nn.echoes import LITTLE as LITTLE_GRADIENT
from lnca.nn.latent import LatentAutomaton
from lnca.nn.registry import resolve
from lnca.nn.residual import ResidualCoder
from lnca.nn.surroundings import SIDE as CELL
from lnca.nn.surroundings import widened
from lnca.nn.weights_file import save_weights
from lnca.nn.wiener import WienerFilters, shares_of_frequencies, spectrum
from lnca.randomness import derive, generator
from lnca.training import losses
from lnca.training.initial import begin_with
from lnca.training.optimizer import learning_rate_factor
from lnca.training.recipe import load_recipe

TASK: PhotoTask = "photo-deblur"
SIDE = 128
# Of the 32 rows and columns of a crop's cells.
CELLS = slice(4, 29, 8)
AT_ONCE = 20
# Of a batch, and cells of each crop.
CROPS, CELLS_DRAWN = 64, 4
# Less than what there is to lose by eight bits.
LITTLE = 1e-7
# Ratios of noise to signal that are tried where the kernel is known.
NOISES = [10 ** (-number / 3) for number in range(13)]
ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "listener.json"


@dataclass(frozen=True)
class Heard:
    """Of some cells of blurred crops.

    Args:
        echoes: (crops, cells, channels), in float16.
        kernels: (crops, 31, 31).
        gradients: mean squares of the clean picture's around each cell, (crops, cells).
        noise: variance of what was added to the blurred crop, (crops, 1).
    """

    echoes: Tensor
    kernels: Tensor
    gradients: Tensor
    noise: Tensor

    def __getitem__(self, crops: Tensor | slice) -> "Heard":
        return Heard(*(getattr(self, field.name)[crops] for field in fields(self)))

    def at(self, cells: Tensor) -> "Heard":
        return Heard(self.echoes[:, cells], self.kernels, self.gradients[:, cells], self.noise)


def heard(data: Path, split: Split, seed: int, count: int, scales: int, window: int) -> Heard:
    """What there is to learn from so many crops."""
    crops = open_crops(data, split, seed, SIDE, count, MARGINS[TASK])
    draw = generator("cpu", seed, "listener", split)
    inner = slice(KERNEL // 2, SIDE - KERNEL // 2)
    found: list[tuple[Tensor, ...]] = []
    with progress_bar() as bar:
        for first in bar.track(range(0, count, AT_ONCE), description=f"echoes, {split}"):
            index = torch.arange(first, min(first + AT_ONCE, count))
            clean, blurred, kernels = crops.blurred(index, draw, augment=split == "train")
            around = echoes_at(blurred, scales)
            squares = F.pad(clean.diff(dim=2).square(), (0, 0, 0, 1)) + F.pad(clean.diff(dim=3).square(), (0, 1))
            means = F.avg_pool2d(squares.mean(1), window, 1, window // 2, count_include_pad=False)
            gradients = means[:, 2::4, 2::4][:, CELLS, CELLS].flatten(1, 2)
            noise = (blurred - blurred_by(clean, kernels))[..., inner, inner].square().mean((1, 2, 3))
            found.append((around.half(), kernels, gradients, noise[:, None]))
    return Heard(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def echoes_at(image_BCHW: Tensor, scales: int) -> Tensor:
    """What `lnca.nn.echoes.echoes` gives at `CELLS`, (B, cells, channels), several times as fast for so few of them.

    Sums over surroundings are one product of matrices."""
    grey = image_BCHW.mean(1)
    height, width = grey.shape[1:]
    weights = surroundings_of(height // CELL, width // CELL, scales)
    found = []
    for gradient in (F.pad(grey.diff(dim=2), (0, 1)), F.pad(grey.diff(dim=1), (0, 0, 0, 1))):
        around = F.pad(gradient, (FAR, FAR, 0, FAR))
        moved = [
            around[:, row : row + height : STRIDE, FAR + column : FAR + column + width : STRIDE]
            for row, column in [(0, 0), *LAGS]
        ]
        weighted = weights * moved[0].flatten(1)[:, None]
        sums = weighted @ torch.stack(moved, 1).flatten(2).transpose(1, 2)
        own = sums[..., :1] + LITTLE_GRADIENT
        found += [GAIN * sums[..., 1:] / own, own.log() / 2 + 4]
    return torch.cat(found, -1)


@cache
def surroundings_of(height: int, width: int, scales: int) -> Tensor:
    """What each place that autocorrelations are taken at weighs in the mean around each of `CELLS`: (cells, places).

    Of a lattice of so many cells."""
    each = torch.eye(height * width).view(1, height, width, -1)
    means = widened(each, scales)[-1][0, CELLS, CELLS].reshape(-1, height, width)
    places = CELL // STRIDE
    return means.repeat_interleave(places, 1).repeat_interleave(places, 2).flatten(1) / places**2


def quality(coder: ResidualCoder, given: Heard) -> dict[str, Tensor]:
    """Of what is made of echoes alone: `losses.kernel`, and each cell's `gain`."""
    filters = coder.deconvolution
    assert coder.listen is not None
    assert isinstance(filters, WienerFilters)
    scores = coder.listen(given.echoes.float().permute(0, 2, 1)[..., None])
    shares, kernels = filters.shares(scores), len(filters.bank)
    moved, trust = (part.permute(0, 2, 3, 1) for part in (scores[:, kernels : kernels + 1], scores[:, kernels + 1 :]))
    responses = torch.stack(list(filters.responses(shares, moved, filters.times())), -1)
    trusts = trust.softmax(-1)[..., None, None, :]
    mean = trusts[..., 0] + (responses * trusts[..., 1:]).sum(-1)
    return {"kernel": losses.kernel(given.kernels, filters.bank, shares), "gain": gain(mean[:, :, 0], given)}


def gain(responses: Tensor, given: Heard) -> Tensor:
    """By how much filters lower the decimal logarithm of the error that is to be expected, a decibel being a tenth:
    (crops, cells)."""
    window = 2 * round(responses.shape[-1] ** 0.5) - 1
    true = spectrum(given.kernels, window)[:, None]
    known = *shares_of_frequencies(window), given.gradients, given.noise
    before, after = (losses.filtered(each, true, *known) for each in (torch.ones_like(responses), responses))
    return (before + LITTLE).log10() - (after + LITTLE).log10()


def best(given: Heard, window: int) -> Tensor:
    """The gain where kernels are known but for their symmetry, and with the best ratio of noise to signal."""
    K = spectrum(given.kernels, window).real[:, None].expand(-1, given.echoes.shape[1], -1, -1)
    tried = [gain(K * (1 + noise) / (K.square() + noise), given) for noise in NOISES]
    return torch.stack([*tried, torch.zeros_like(tried[0])]).amax(0)


def fit(coder: ResidualCoder, train: Heard, steps: int, rate: float, seed: int) -> None:
    listen = coder.listen
    assert listen is not None
    adam = torch.optim.AdamW(listen.parameters(), rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: learning_rate_factor(step, steps, 0.05))
    draw = generator("cpu", seed, "listener", "order")
    with progress_bar() as bar:
        for _ in bar.track(range(steps), description="listening"):
            crops = torch.randint(len(train.echoes), (CROPS,), generator=draw)
            cells = torch.randint(train.echoes.shape[1], (CELLS_DRAWN,), generator=draw)
            found = quality(coder, train[crops].at(cells))
            adam.zero_grad()
            (found["kernel"] - found["gain"].mean()).backward()
            torch.nn.utils.clip_grad_norm_(listen.parameters(), 1.0)
            adam.step()
            schedule.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--init", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=20000)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--scores", type=float, default=0.0)
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
    assert isinstance(coder.deconvolution, WienerFilters)
    with torch.no_grad():
        for tensor in (coder.scatter[-1].weight, coder.scatter[-1].bias):
            assert isinstance(tensor, Tensor)
            tensor[coder.width * coder.places :] *= options.scores
    window = coder.deconvolution.window
    train = heard(options.data, "train", options.seed, options.crops, coder.echoes, window)
    validation = heard(options.data, "validation", options.seed, 400, coder.echoes, window)
    fit(coder, train, options.steps, options.rate, options.seed)
    content = {"crops": options.crops, "steps": options.steps}
    with torch.no_grad():
        for name, given in (("train", train[:800]), ("validation", validation)):
            found = quality(coder, given)
            content[name] = {
                "kernel": round(found["kernel"].item(), 4),
                "expected gain in dB": round(10 * found["gain"].mean().item(), 3),
                "with known kernels": round(10 * best(given, window).mean().item(), 3),
            }
    described = {name: str(value) for name, value in vars(options).items() if name not in ("data", "out")}
    card = {
        "model": "lnca", "task": TASK, "seed": options.seed, "initial": begun, "listener": described,
        "heard": content["validation"], "recipe": asdict(load_recipe(TASK)),
    }  # fmt: skip
    save_weights(options.out / f"{TASK}.safetensors", model, "lnca", settings, json.loads(json.dumps(card)))
    write_whole(RESULT, (json.dumps(content, indent=2) + "\n").encode())
    print(json.dumps(content))


if __name__ == "__main__":
    main()

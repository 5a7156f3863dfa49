"""Whether photo-denoise would be better off if it were told how much noise there is: its own grain against that of
exactly the noise that was added, on crops of the validation split.

    python benchmarks/grain.py --data ../shared/data/photos
"""

import argparse
import json
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from rich.progress import track
from torch import Tensor

import lnca
from lnca import metrics
from lnca.data.crops import open_crops
from lnca.degradation import gaussian_noise
from lnca.files import write_whole
from lnca.randomness import generator

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "grain.json"
SIDE, CROPS, SEED = 192, 24, 0
SIGMAS = (5, 15, 25, 50)


def energies_of(sigma: float) -> Any:
    """In place of `surroundings._energies`: of independent noise in three channels, whatever the picture."""
    once = torch.tensor([sigma**2 / 3, 2 * sigma**2, 2 * sigma**2])

    def energies(image_BHWC: Tensor) -> Tensor:
        batch, height, width, _ = image_BHWC.shape
        return once.repeat(2).expand(batch, height // 4, width // 4, -1)

    return energies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    model = lnca.load("photo-denoise", "cpu").module
    crops = open_crops(options.data, "validation", SEED, SIDE, CROPS)
    clean, _ = crops.pairs(torch.arange(CROPS), "photo-denoise", 1, generator("cpu", SEED, "grain"))

    def score(picture: Tensor) -> float:
        return round(metrics.psnr(picture, clean).mean().item(), 3)

    @torch.no_grad()
    def restored(noisy: Tensor) -> Tensor:
        return torch.cat([model(part) for part in noisy.split(4)])

    found: dict[str, dict[str, float]] = {}
    for sigma in track(SIGMAS, "noise"):
        noisy = gaussian_noise(clean, sigma / 255, generator("cpu", SEED, "grain", sigma))
        with mock.patch("lnca.nn.surroundings._energies", energies_of(sigma / 255)):
            told = score(restored(noisy))
        found[f"sigma {sigma}"] = {"given": score(noisy), "its own grain": score(restored(noisy)), "told": told}
    content = {"side": SIDE, "crops": CROPS, "psnr": found}
    write_whole(RESULT, (json.dumps(content, indent=2) + "\n").encode())
    for name, row in found.items():
        print(name, row)


if __name__ == "__main__":
    main()

"""What a bank of kernels costs a photo-deblur model at best: photographs of the validation split are filtered as
mixtures of a bank say that are as near as can be to the true kernel, and as the true kernel itself says.

    python benchmarks/banks.py --data PHOTOGRAPHS
"""

import argparse
import json
import math
from pathlib import Path

import torch
from torch import Tensor, nn

from lnca import metrics
from lnca.cli.progress import progress_bar
from lnca.degradation import blurred_by, eight_bits, motion_path, photo_blur, photo_kernels, uniform
from lnca.evaluation.photographs import cases, chosen_pictures
from lnca.files import write_whole
from lnca.kernels.blur import fused_blur
from lnca.nn.deconvolution import SIDE
from lnca.nn.wiener import WienerFilters, symmetric
from lnca.randomness import generator
from lnca.training import losses

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "banks.json"
PHOTOGRAPHS, CROP, SEED, WINDOW, STEPS = 16, 128, 0, 47, 400
# Logarithms of the ratios of noise to signal, of which the best is taken for each picture.
NOISES = (-3, -4, -5, -6)
# The longest lines' angles, and lengths.
BANKS = {
    "28 angles, ten lengths": (28, (3, 4, 5, 6, 8, 10, 13, 17, 21, 25)),
    "24 angles, ten lengths": (24, (3, 4, 5, 6, 8, 10, 13, 17, 21, 25)),
    "36 angles, eleven lengths": (36, (3, 4, 5, 6, 8, 10, 12, 15, 18, 21, 25)),
    "28 angles, six lengths": (28, (3, 6, 10, 15, 20, 25)),
}
# From and to.
LENGTHS = {"5 pixels": (5.0, 5.0), "3 to 8 pixels": (3.0, 8.0), "13 pixels": (13.0, 13.0)}


def bank_of(angles: int, lengths: tuple[int, ...]) -> Tensor:
    """As `WienerFilters` have it."""
    return WienerFilters(angles, lengths, WINDOW).bank


def even_bank(angles: int, lengths: tuple[int, ...]) -> Tensor:
    """As many angles of short lines as of long ones, and a kernel that leaves a picture as it is."""
    size = max(lengths) | 1
    turns = (math.pi * torch.arange(angles) / angles).repeat(len(lengths))
    longs = torch.tensor(lengths, dtype=torch.float32).repeat_interleave(angles)
    still = torch.zeros(1, size**2)
    still[:, size**2 // 2] = 1
    return symmetric(torch.cat([motion_path(longs, turns, torch.zeros(len(longs)), size).flatten(1), still]))


def nearest(true_BKK: Tensor, bank: Tensor) -> Tensor:
    """Shares (1, 1, 1, K) of the bank's mixture that is nearest to a kernel, by `losses.kernel`."""
    scores = torch.zeros(1, 1, 1, len(bank), requires_grad=True)
    adam = torch.optim.Adam([scores], 0.3)
    for _ in range(STEPS):
        adam.zero_grad()
        losses.kernel(true_BKK, bank, scores.softmax(-1)).backward()
        adam.step()
    return scores.detach().softmax(-1)


def filtered(image: Tensor, clean: Tensor, bank: Tensor, shares: Tensor) -> float:
    """PSNR of a picture that is filtered with the best of `NOISES`."""
    filters = WienerFilters(1, (3, 5), WINDOW, "nearest")
    filters.bank, filters.side = nn.Parameter(bank, False), math.isqrt(bank.shape[1])
    times = filters.times()
    given = image.permute(0, 2, 3, 1).contiguous()
    rows, columns = (size // SIDE for size in image.shape[-2:])
    found = []
    for noise in NOISES:
        filters.noises.data[:] = noise
        first = filters.inverted(shares, torch.zeros(1, 1, 1, 1), times)[0].expand(1, rows, columns, -1)
        sharp = fused_blur(given, first.contiguous(), "nearest").permute(0, 3, 1, 2)
        found.append(metrics.psnr(sharp.clamp(0, 1).contiguous(), clean).item())
    return max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    banks = {name: bank_of(*settings) for name, settings in BANKS.items()}
    banks["16 angles each, six lengths"] = even_bank(16, (3, 6, 10, 15, 20, 25))
    paths = chosen_pictures(options.data, "validation", SEED)[::2][:PHOTOGRAPHS]
    conditions = [*LENGTHS, "mixture"]
    psnr: dict[str, dict[str, list[float]]] = {condition: {} for condition in conditions}
    with progress_bar() as bar:
        for case in bar.track(list(cases(paths, "photo-deblur", "clean", SEED, CROP)), description="banks"):
            for condition in conditions:
                draw = generator("cpu", SEED, "banks", condition, case.name)
                if condition == "mixture":
                    true = photo_kernels(1, draw)
                    image = photo_blur(case.clean, draw, true)
                else:
                    length, angle = uniform(1, *LENGTHS[condition], draw), uniform(1, 0, math.pi, draw)
                    true = motion_path(length.flatten(), angle.flatten(), torch.zeros(1))
                    image = eight_bits(blurred_by(case.clean, true))
                found = {"given": metrics.psnr(image, case.clean).item()}
                found["true kernel"] = filtered(image, case.clean, symmetric(true.flatten(1)), torch.ones(1, 1, 1, 1))
                for name, bank in banks.items():
                    found[name] = filtered(image, case.clean, bank, nearest(true, bank))
                for name, value in found.items():
                    psnr[condition].setdefault(name, []).append(value)
    content = {
        "photographs": len(paths),
        "kernels": {name: len(bank) for name, bank in banks.items()},
        "psnr": {
            condition: {name: round(sum(values) / len(values), 2) for name, values in found.items()}
            for condition, found in psnr.items()
        },
    }
    write_whole(RESULT, (json.dumps(content, indent=2) + "\n").encode())
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()

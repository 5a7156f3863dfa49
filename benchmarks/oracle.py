"""What keeps a photo-deblur model from better pictures: its kernels, or what it makes of them. Blurred crops of
the validation split are restored with the model's own kernels and with the true ones, by the whole model, by its
deconvolution alone, and by one whose steps are not learned.

    python benchmarks/oracle.py --data PHOTOGRAPHS --model RUN/photo-deblur.safetensors
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

from lnca import metrics
from lnca.data.crops import open_crops
from lnca.degradation import KERNEL, MARGINS
from lnca.files import write_whole
from lnca.kernels.blur import fused_blur
from lnca.nn.deconvolution import Deconvolution
from lnca.nn.latent import LatentAutomaton
from lnca.nn.residual import ResidualCoder
from lnca.nn.weights_file import load_weights
from lnca.randomness import generator
from lnca.training import losses

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "oracle.json"
SIDE, CROPS, SEED, AT_ONCE = 128, 32, 0, 4
# Crops with less than this were blurred in earnest.
SHARP = 35.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    options = parser.parse_args()
    model, _ = load_weights(options.model)
    assert isinstance(model, LatentAutomaton)
    coder = model.autoencoder
    assert isinstance(coder, ResidualCoder)
    assert coder.deconvolution is not None
    learned = coder.deconvolution
    settings = (1, (learned.side,), len(learned.rates), learned.border)
    plain = Deconvolution(*settings)
    for part in (learned, plain):
        part.blur = fused_blur
    crops = open_crops(options.data, "validation", SEED, SIDE, CROPS, MARGINS["photo-deblur"])
    clean, blurred, kernels = crops.blurred(torch.arange(CROPS), generator("cpu", SEED, "oracle"))
    inner = slice((KERNEL - learned.side) // 2, (KERNEL + learned.side) // 2)
    named, distances = learned.kernels, []

    def ways(image: Tensor, true: Tensor) -> dict[str, Tensor]:
        """A few crops restored in each way."""
        latent, _ = coder.encode(image)
        output = model.automaton.read(model.automaton.run(model.automaton.seed(latent), model.steps, 0))
        scores = coder.scores(output, image)
        distances.append(losses.kernel(true, learned.bank, learned.shares(scores)).item())
        own = named(scores)
        cropped = true[:, inner, inner].flatten(1)
        known = (cropped / cropped.sum(1, keepdim=True))[:, None, None].expand_as(own).contiguous()
        found = {"given": image}
        for whose, given in (("own", own), ("true", known)):
            with (
                mock.patch.object(learned, "kernels", lambda _, given=given: given),
                mock.patch.object(plain, "kernels", lambda _, given=given: given),
            ):
                deconvolved: dict[str, Callable[[], Tensor]] = {
                    "model": lambda: model(image),
                    "learned steps": lambda: learned(image, scores),
                    "FISTA's steps": lambda: plain(image, scores),
                }
                found.update({f"{name}, {whose} kernels": restored() for name, restored in deconvolved.items()})
        return found

    scores: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for first in range(0, CROPS, AT_ONCE):
            some = slice(first, first + AT_ONCE)
            for name, restored in ways(blurred[some], kernels[some]).items():
                scores.setdefault(name, []).append(metrics.psnr(restored, clean[some]))
    each = {name: torch.cat(parts) for name, parts in scores.items()}
    soft = each["given"] < SHARP
    content = {
        "crops": CROPS, "side": SIDE, "blurred": int(soft.sum()), "kernel": round(sum(distances) / len(distances), 4),
        "rates": [round(rate, 3) for rate in learned.rates.tolist()],
        "momenta": [round(momentum, 3) for momentum in learned.momenta.tolist()],
        "psnr": {name: round(values.mean().item(), 2) for name, values in each.items()},
        "psnr of blurred": {name: round(values[soft].mean().item(), 2) for name, values in each.items()},
    }  # fmt: skip
    write_whole(RESULT, (json.dumps(content, indent=2) + "\n").encode())
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()

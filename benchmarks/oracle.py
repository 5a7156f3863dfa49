"""What keeps a photo-deblur model from better pictures: its kernels, or what it makes of them. Blurred crops of
the validation split are restored with the model's own kernels and with the true ones, by the whole model, by its
filters alone, and by a deconvolution of eight accelerated gradient steps.

    python benchmarks/oracle.py --data PHOTOGRAPHS --model photo-deblur
"""

import argparse
import json
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

import lnca
from lnca import metrics
from lnca.data.crops import open_crops
from lnca.degradation import KERNEL, MARGINS
from lnca.files import write_whole
from lnca.kernels.blur import fused_blur
from lnca.nn.deconvolution import Deconvolution
from lnca.nn.latent import LatentAutomaton
from lnca.nn.residual import ResidualCoder
from lnca.nn.wiener import WienerFilters, symmetric
from lnca.randomness import generator
from lnca.training import losses

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "oracle.json"
SIDE, CROPS, SEED, AT_ONCE, ITERATIONS = 128, 64, 0, 4, 8
# Crops with less than this were blurred in earnest.
SHARP = 35.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True, help="a model's name or a weight file")
    options = parser.parse_args()
    model = lnca.load(options.model, "cpu", "plain").module
    assert isinstance(model, LatentAutomaton)
    coder = model.autoencoder
    assert isinstance(coder, ResidualCoder)
    filters = coder.deconvolution
    assert isinstance(filters, WienerFilters)
    steps = Deconvolution(1, (filters.side,), ITERATIONS, filters.border)
    filters.blur = steps.blur = fused_blur
    crops = open_crops(options.data, "validation", SEED, SIDE, CROPS, MARGINS["photo-deblur"])
    clean, blurred, kernels = crops.blurred(torch.arange(CROPS), generator("cpu", SEED, "oracle"))
    inner = slice((KERNEL - filters.side) // 2, (KERNEL + filters.side) // 2)
    own = filters.bank
    distances: list[float] = []

    def ways(image: Tensor, true: Tensor) -> dict[str, Tensor]:
        """A few crops restored in each way."""
        latent, skip = coder.encode(image)
        output = model.automaton.read(model.automaton.run(model.automaton.seed(latent), model.steps, 0))
        path, scores = coder._scattered(output, image)
        shares = filters.shares(scores)
        distances.append(losses.kernel(true, own, shares).item())
        # A filter is the same when it is turned by half a turn, and so must be what it is made from.
        known = true[:, inner, inner].flatten(1)
        known = symmetric(known)
        known = known / known.sum(1, keepdim=True)
        only = torch.eye(len(known))[:, None, None].expand(-1, *shares.shape[1:3], -1)
        found = {"given": image}
        for whose, bank, given in (("own", own, shares), ("true", torch.nn.Parameter(known, False), only)):
            moved = torch.cat([torch.zeros(len(image), len(bank), *shares.shape[1:3]), scores[:, len(own) :]], 1)
            with (
                mock.patch.object(filters, "bank", bank),
                mock.patch.object(filters, "shares", lambda _, given=given: given),
                mock.patch.object(coder, "_scattered", lambda *_, moved=moved: (path, moved)),
                mock.patch.object(steps, "kernels", lambda _, bank=bank, given=given: given @ bank),
            ):
                found[f"model, {whose} kernels"] = coder.decode(output, skip)
                pictures = filters(image, moved).split(image.shape[1], 1)
                for name, picture in zip(("mean", "filter 1", "filter 2"), pictures, strict=True):
                    found[f"{name}, {whose} kernels"] = picture
                found[f"gradient steps, {whose} kernels"] = steps(image, moved)
        return found

    psnr: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for first in range(0, CROPS, AT_ONCE):
            some = slice(first, first + AT_ONCE)
            for name, restored in ways(blurred[some], kernels[some]).items():
                psnr.setdefault(name, []).append(metrics.psnr(restored.clamp(0, 1).contiguous(), clean[some]))
    each = {name: torch.cat(parts) for name, parts in psnr.items()}
    soft = each["given"] < SHARP
    content = {
        "crops": CROPS, "side": SIDE, "blurred": int(soft.sum()), "kernel": round(sum(distances) / len(distances), 4),
        "noises": [round(noise, 4) for noise in filters.noises.exp().tolist()],
        "psnr": {name: round(values.mean().item(), 2) for name, values in each.items()},
        "psnr of blurred": {name: round(values[soft].mean().item(), 2) for name, values in each.items()},
    }  # fmt: skip
    write_whole(RESULT, (json.dumps(content, indent=2) + "\n").encode())
    print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()

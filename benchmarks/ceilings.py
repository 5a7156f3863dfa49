"""Upper limit of a latent model: SSIM of decoding a perfectly clean latent.

For every shipped model, SSIM on the test split after decoding clean latent and clean skip, clean latent and corrupted
skip (the best that the automaton can reach), and corrupted latent and clean skip.

    python benchmarks/ceilings.py --data ../shared/data/photos
"""

import argparse
import json
from pathlib import Path

import torch

import lnca
from lnca import metrics
from lnca.corruption import PAPER_DIFFICULTY
from lnca.data.tile_set import open_tiles
from lnca.evaluation.quality import pairs
from lnca.files import write_whole
from lnca.nn.latent import LatentAutomaton

RESULTS = Path(__file__).parent / "results" / "ceilings.json"


@torch.no_grad()
def ceilings(name: str, data: Path) -> dict[str, float]:
    """Mean SSIM of the corrupted tiles and of the three decodings."""
    restorer = lnca.load(name, "cpu")
    assert isinstance(restorer.module, LatentAutomaton)
    autoencoder, card = restorer.module.autoencoder, restorer.info.card
    tiles = open_tiles(data, "test", card["seed"], card["recipe"]["tile"])
    sums = dict.fromkeys(("corrupted", "clean", "clean_latent_corrupted_skip", "corrupted_latent_clean_skip"), 0.0)
    for clean, corrupted in pairs(tiles, card["task"], None, card["seed"]):
        (good, good_skip), (bad, bad_skip) = (autoencoder.encode(x) for x in (clean, corrupted))
        decoded = (
            corrupted,
            autoencoder.decode(good, good_skip),
            autoencoder.decode(good, bad_skip),
            autoencoder.decode(bad, good_skip),
        )
        for key, picture in zip(sums, decoded, strict=True):
            sums[key] += metrics.ssim(picture, clean).sum().item()
    return {key: round(total / len(tiles), 5) for key, total in sums.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    results = {
        model.name: ceilings(model.name, options.data)
        for model in lnca.models()
        if model.card["task"] in PAPER_DIFFICULTY
    }
    write_whole(RESULTS, (json.dumps(results, indent=2) + "\n").encode())
    for name, result in results.items():
        best, start = result["clean_latent_corrupted_skip"], result["corrupted"]
        print(f"{name}: at most SSIM {best:.4f}, recovered {metrics.recovered(best, start):.3f}")


if __name__ == "__main__":
    main()

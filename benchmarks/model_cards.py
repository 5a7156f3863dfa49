"""Scores the shipped weights on the test split, and writes the scores into the weight files and their cards.

Weight files given as arguments are put into the package, unless they lie there already, and only they are scored.

    python benchmarks/model_cards.py --data ../shared/data/photos [RUN/latent-nafca-denoise.safetensors ...]
"""

import argparse
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.progress import Progress

from lnca.catalogue import ModelInfo, describe, shipped_weights
from lnca.data.tile_set import open_tiles
from lnca.evaluation.photographs import CONDITIONS, chosen_pictures, evaluate_photographs
from lnca.evaluation.quality import evaluate, steps_curve
from lnca.files import write_whole
from lnca.metrics import recovered
from lnca.nn.weights_file import load_weights, save_weights
from lnca.restoration.restorer import Restorer
from lnca.runtime.weights import sharing
from lnca.training.recipe import PHASES, load_recipe

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CARDS = ROOT / "docs" / "models"
WEIGHTS = ROOT / "src" / "lnca" / "weights"

# Radius of a blur of the paper's length in pixels, rounded up to a multiple of a cell.
MARGIN = 4
# Files of more bytes than this store their numbers in 16 bits.
LARGEST = 2_000_000
DATA = "photographs from Debian packages, split by picture 64/16/20"
TILES, CROPS = "tiles of 64x64 pixels shrunk to 32x32", "crops at their own size and at half of it"
LICENCE = (
    "weights Apache-2.0; the photographs are CC0, public domain, CC BY, CC BY-SA, GPL, Apache-2.0 or BSD, "
    "each under its own licence, and are not part of the weights"
)


def rounded(value: Any) -> Any:
    """Rounds numbers to five decimals, so that a repetition gives the same file."""
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    return round(value, 5) if isinstance(value, float) else value


def differences(shipped: dict[str, Any], used: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The differences between the used recipe and the shipped one of the same name, in the notation of `--set`."""
    for name, value in used.items():
        if isinstance(value, dict) and isinstance(shipped.get(name), dict):
            yield from differences(shipped[name], value, f"{prefix}{name}.")
        elif value != shipped.get(name):
            yield f"`{prefix}{name}={value}`"


def put_into_package(path: Path) -> None:
    """Copies a trained model into the package, without the history of its epochs."""
    model, info = load_weights(path)
    card = {key: value for key, value in info.card.items() if key != "history"}
    half = 4 * info.parameters > LARGEST
    save_weights(WEIGHTS / path.name, model, info.architecture, info.settings, card, half=half)


def score(info: ModelInfo, data: Path, progress: Progress, limit: int | None = None) -> dict[str, Any]:
    """Scores on the test split of the training's seed: on tiles, with the SSIM after 0 to 128 steps, or on whole
    photographs, at most `limit` of them."""
    restorer = Restorer(info.path, "cpu")
    card = info.card
    if card["task"] in CONDITIONS:
        paths = chosen_pictures(data, "test", card["seed"], limit)
        bar = progress.add_task(info.name, total=len(paths) * len(CONDITIONS[card["task"]]))
        scores = evaluate_photographs(
            restorer.restore, paths, card["task"], card["seed"], lambda: progress.advance(bar)
        )
        mixture = scores["conditions"]["mixture"]
        return rounded({"split": "test", **scores, "input": mixture["input"], "output": mixture["output"]})
    tiles = open_tiles(data, "test", card["seed"], card["recipe"]["tile"])
    bar = progress.add_task(info.name, total=len(tiles))
    scores = evaluate(
        restorer.restore, tiles, card["task"], seed=card["seed"], report=lambda count: progress.advance(bar, count)
    )
    curve = steps_curve(restorer.stepped, tiles, card["task"], seed=card["seed"])
    if card["task"] == "deblur":
        inside = evaluate(restorer.restore, tiles, card["task"], seed=card["seed"], margin=MARGIN)
        scores["inside"] = {name: inside[name] for name in ("input", "output", "recovered")}
    return rounded({"split": "test", **scores, "steps": curve})


def of_tiles(info: ModelInfo, control: dict[str, Any] | None) -> str:
    """The quality of a model that was trained on tiles."""
    card, quality = info.card, info.card["quality"]
    difficulty = "noise of intensity 0.5" if card["task"] == "denoise" else "motion blur of 7 pixels"
    rows = "".join(
        f"| {kind} | {quality[key]['ssim']['mean']:.4f} ± {quality[key]['ssim']['deviation']:.4f} "
        f"| {quality[key]['psnr']['mean']:.2f} ± {quality[key]['psnr']['deviation']:.2f} |\n"
        for kind, key in (("corrupted", "input"), ("restored", "output"))
    )
    curve = quality["steps"]
    compared = (
        f"The control, a plain CNN of {control['parameters']} parameters trained on as many samples, recovers "
        f"{control['recovered']:.3f} (SSIM {control['output']['ssim']['mean']:.4f}, `benchmarks/control_cnn.py`).\n"
        if control
        else ""
    )
    return f"""On {quality["tiles"]} tiles of 32x32 from the {quality["pictures"]} photographs of the test split,
{difficulty}; mean ± standard deviation over tiles.

| | SSIM | PSNR (dB) |
|---|---|---|
{rows}
Recovered SSIM: **{quality["recovered"]:.3f}** (0: no better than the corrupted tile, 1: the clean tile).
{without_border(quality)}{compared}
| steps | {" | ".join(curve)} |
|---|{"---|" * len(curve)}
| SSIM | {" | ".join(f"{value:.4f}" for value in curve.values())} |
| recovered | {" | ".join(f"{recovered(v, quality['input']['ssim']['mean']):.3f}" for v in curve.values())} |
"""


def without_border(quality: dict[str, Any]) -> str:
    """The recovered SSIM of the part of tiles without the dark border."""
    inside = quality.get("inside")
    if not inside:
        return ""
    before, after = (inside[kind]["ssim"]["mean"] for kind in ("input", "output"))
    return (
        f"On the middle of each blurred tile, as a part of a larger picture that has no dark border, it recovers "
        f"**{inside['recovered']:.3f}** (SSIM {before:.4f} before, {after:.4f} after).\n"
    )


def of_photographs(info: ModelInfo) -> str:
    """The quality of a model of whole photographs."""
    quality = info.card["quality"]

    def spread(value: dict[str, float], digits: int) -> str:
        return f"{value['mean']:.{digits}f} ± {value['deviation']:.{digits}f}"

    rows = "".join(
        f"| {name} | {row['input']['ssim']['mean']:.4f} | {spread(row['output']['ssim'], 4)} "
        f"| {row['input']['psnr']['mean']:.2f} | {spread(row['output']['psnr'], 2)} |\n"
        for name, row in quality["conditions"].items()
    )
    kept = quality["conditions"]["clean"]["kept"]["psnr"]
    return f"""On {quality["pictures"]} photographs of the test split at their full size; mean ± standard deviation
over photographs, PSNR counted up to 60 dB. The conditions are those of `lnca.evaluation.photographs`; "clean" is JPEG
of quality 95.

| | SSIM before | after | PSNR before (dB) | after |
|---|---|---|---|---|
{rows}
Of clean pictures it keeps {spread(kept, 1)} dB (PSNR between input and output).

`lnca evaluate --model {info.name} --data PHOTOGRAPHS` computes the same.
"""


def write_card(info: ModelInfo, control: dict[str, Any] | None) -> None:
    """The model card as a page."""
    card = info.card
    recipe = card["recipe"]
    # A deblurrer has the cells of a pyramid, and their card.
    trained = PHASES.get(info.architecture, PHASES["pyramid"])
    phases = ", ".join(f"{recipe[p]['epochs']} {p}" for p in trained if recipe[p]["epochs"])
    others = {phase for phases in PHASES.values() for phase in phases} - {*trained}
    used = {name: value for name, value in recipe.items() if name not in others}
    changes = ", ".join(differences(json.loads(json.dumps(dataclasses.asdict(load_recipe(recipe["name"])))), used))
    size = f"{info.path.stat().st_size // 1000} kB"
    size += "".join(f" beside the {prefix} of {part.model}" for prefix, part in info.shared.items())
    quality = of_photographs(info) if card["task"] in CONDITIONS else of_tiles(info, control)
    text = f"""# {info.name}

{info.architecture} for {card["task"]}, {info.parameters} numbers, {size}.

| | |
|---|---|
| data | {card["data"]} |
| licence | {card["licence"]} |
| recipe | `{recipe["name"]}`, batches of {recipe["batch_size"]}, epochs: {phases} |
| changed in the recipe | {changes or "nothing"} |
| begun with | {card.get("initial", "random weights")} |
| seed | {card["seed"]} |
| commit | {card["commit"]} |

## Quality

{quality}
`make quality DATA=<the photographs>` computes these numbers again; they come from `benchmarks/results/quality.json`.
"""
    write_whole(CARDS / f"{info.name}.md", text.encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("weights", type=Path, nargs="*")
    parser.add_argument("--limit", type=int, help="largest number of photographs, for models of photographs")
    options = parser.parse_args()
    for path in options.weights:
        if path.resolve().parent != WEIGHTS.resolve():
            put_into_package(path)
    file = RESULTS / "quality.json"
    results = json.loads(file.read_text("utf-8")) if options.weights else {}
    chosen = {path.stem for path in options.weights} or set(shipped_weights())
    with Progress() as progress:
        for name, path in shipped_weights().items():
            if name not in chosen:
                continue
            model, info = load_weights(path)
            results[name] = score(info, options.data, progress, options.limit)
            card = {
                **info.card,
                "data": info.card.get("data") or f"{DATA}; {CROPS if info.card['task'] in CONDITIONS else TILES}",
                "licence": LICENCE,
                "quality": results[name],
            }
            half = 4 * info.parameters > LARGEST
            save_weights(path, model, info.architecture, info.settings, card, half=half)
            for prefix, part in info.shared.items():
                write_whole(path, sharing(path, prefix, part.model))
            control = RESULTS / f"control-{card['task']}.json"
            # It was trained on as many samples as the recipe "stable" takes.
            comparable = card["recipe"]["name"] == "stable" and control.exists()
            write_card(describe(path), json.loads(control.read_text("utf-8")) if comparable else None)
    write_whole(file, (json.dumps(results, indent=2) + "\n").encode())
    for name, result in results.items():
        print(f"{name}: SSIM {result['input']['ssim']['mean']:.4f} -> {result['output']['ssim']['mean']:.4f}")


if __name__ == "__main__":
    main()

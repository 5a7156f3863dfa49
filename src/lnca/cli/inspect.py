"""`lnca models`, `evaluate` and `convert`."""

import json as json_format
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..errors import LncaError
from .declare import Argument, Option
from .options import Data, Device, Json, Overwrite, SkipBroken, checked_split, checked_task

if TYPE_CHECKING:
    from ..data.splits import Split
    from ..degradation import PhotoTask
    from ..restoration.restorer import Restorer


# Headings of `lnca models`, and the purpose of each task's models.
USES = {
    "For photographs": {
        "photo-denoise": "camera noise, film grain, JPEG artefacts",
        "photo-deblur": "camera shake, slight defocus, a blur that you know",
    },
    "For the paper's tiles of 32x32 pixels": {"denoise": "the paper's noise", "deblur": "the paper's motion blur"},
}


def models(json: Json = False) -> None:
    """List the trained models that come with lnca."""
    from .. import load
    from ..catalogue import DEFAULT_MODEL, models

    listed = models()
    if json:
        fields = ("name", "architecture", "parameters", "settings", "card")
        entries = [
            {**{field: getattr(m, field) for field in fields}, "path": str(m.path), "backend": load(m.path).backend}
            for m in listed
        ]
        print(json_format.dumps(entries, indent=2))
        return
    for heading, tasks in USES.items():
        print(heading)
        for model in sorted(listed, key=lambda model: (model.name != DEFAULT_MODEL, model.name)):
            what_for = tasks.get(model.card["task"])
            if what_for is not None:
                mark = "the default: " if model.name == DEFAULT_MODEL else ""
                print(f"  {model.name:20}  {mark}{what_for}")
                scores = _scores(model.card.get("quality"))
                print(f"  {'':20}  {model.parameters / 1000:.0f} thousand parameters; {scores}")


def _scores(quality: dict[str, Any] | None) -> str:
    """The scores in a model's card, in one line."""
    if not quality:
        return "not scored"
    before, after = quality["input"], quality["output"]
    return (
        f"SSIM {before['ssim']['mean']:.3f} -> {after['ssim']['mean']:.3f}, "
        f"PSNR {before['psnr']['mean']:.1f} -> {after['psnr']['mean']:.1f} dB"
    )


def evaluate(
    model: Annotated[str, Option("-m", "--model", help="A name that `lnca models` lists, or a weight file.")],
    data: Data,
    split: Annotated[
        str, Option(help="Part of the training's split of DATA: train, validation, test, or all.")
    ] = "test",
    task: Annotated[
        str | None,
        Option(help="denoise, deblur, photo-denoise or photo-deblur; default: the model's own."),
    ] = None,
    difficulty: Annotated[float | None, Option(help="Intensity or blur length; default: the paper's.")] = None,
    steps: Annotated[int | None, Option(min=0, help="Steps of the automaton; default: the model's own.")] = None,
    seed: Annotated[int, Option(help="Seed of the split and of the corruption.")] = 0,
    limit: Annotated[
        int | None, Option(min=1, help="Use at most this many tiles (drawn at random) or photographs.")
    ] = None,
    curve: Annotated[bool, Option("--curve", help="Also print SSIM after 0 to 128 steps.")] = False,
    skip_broken: SkipBroken = False,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Score a model on a folder of clean pictures: on tiles cut from them, or on whole photographs."""
    import lnca

    from ..data.tile_set import open_tiles
    from ..evaluation.photographs import readable_pictures
    from ..evaluation.quality import evaluate, steps_curve
    from .progress import Bar

    restorer = lnca.load(model, device)
    card = restorer.info.card
    chosen = checked_task(task or card.get("task", ""))
    if chosen == "photo-denoise" or chosen == "photo-deblur":
        if difficulty is not None or curve:
            raise LncaError("--difficulty and --curve are for tiles, not for photographs")
        with _all_of_them():
            paths, left_out = readable_pictures(data, checked_split(split), seed, limit, skip_broken)
        _warn(left_out)
        _evaluate_photographs(restorer, chosen, paths, checked_split(split), steps, seed, json)
        return
    with _all_of_them():
        side = card.get("recipe", {}).get("tile", 64)
        tiles = open_tiles(data, checked_split(split), seed, side, limit, skip_broken)
    _warn(tiles.left_out)
    with Bar("evaluating", len(tiles)) as bar:
        result: dict[str, Any] = {
            "model": model,
            "backend": restorer.backend,
            "task": chosen,
            "split": split,
        } | evaluate(lambda x: restorer.restore(x, steps), tiles, chosen, difficulty, seed, bar.advance)
    if curve:
        result["steps"] = steps_curve(restorer.stepped, tiles, chosen, difficulty, seed)
    if json:
        print(json_format.dumps(result, indent=2))
        return
    print(f"{model}, {chosen}: {result['tiles']} tiles of {result['pictures']} pictures ({split})")
    for kind in ("input", "output"):
        ssim, psnr = result[kind]["ssim"], result[kind]["psnr"]
        print(
            f"{kind:7} SSIM {ssim['mean']:.4f} ± {ssim['deviation']:.4f}  "
            f"PSNR {psnr['mean']:.2f} ± {psnr['deviation']:.2f} dB"
        )
    print(f"recovered SSIM {result['recovered']:.3f}")
    for step, value in result.get("steps", {}).items():
        print(f"{step:4} steps  SSIM {value:.4f}")


@contextmanager
def _all_of_them() -> Iterator[None]:
    """If there are too few pictures to split, the error says what to do."""
    from ..data.splits import TooFew

    try:
        yield
    except TooFew as error:
        raise LncaError(f"{error}; or use all of them with --split all") from error


def _warn(left_out: Sequence[str]) -> None:
    """Warns of files that were left out."""
    from ..data.reading import listing

    if left_out:
        print(f"warning: these files are left out:\n{listing(left_out)}", file=sys.stderr)


def _evaluate_photographs(
    restorer: "Restorer",
    task: "PhotoTask",
    paths: list[Path],
    split: "Split",
    steps: int | None,
    seed: int,
    json: bool,
) -> None:
    from ..evaluation.photographs import CONDITIONS, evaluate_photographs
    from .progress import Bar

    with Bar("evaluating", len(paths) * len(CONDITIONS[task])) as bar:
        result = {"model": restorer.info.name, "backend": restorer.backend, "task": task, "split": split} | (
            evaluate_photographs(lambda x: restorer.restore(x, steps), paths, task, seed, bar.advance)
        )
    if json:
        print(json_format.dumps(result, indent=2))
        return
    print(f"{restorer.info.name}, {task}: {result['pictures']} photographs ({split})")
    for condition, rows in result["conditions"].items():
        before, after = rows["input"], rows["output"]
        print(
            f"{condition:10} SSIM {before['ssim']['mean']:.4f} -> {after['ssim']['mean']:.4f}  "
            f"PSNR {before['psnr']['mean']:.2f} -> {after['psnr']['mean']:.2f} ± {after['psnr']['deviation']:.2f} dB"
        )


def convert(
    source: Annotated[Path, Argument(metavar="IN", help="A public checkpoint (.pth).")],
    output: Annotated[Path, Option("-o", "--output", metavar="OUT", help="The weight file, .safetensors.")],
    model: Annotated[str, Option(help="nafnet or restormer.")],
    overwrite: Overwrite = False,
) -> None:
    """Convert a public NAFNet or Restormer checkpoint to a weight file; the shapes give the settings."""
    from ..nn.public import read_public
    from ..nn.registry import DEDUCED, build
    from ..nn.weights_file import save_weights

    if output.suffix != ".safetensors":
        raise LncaError(f"{output} should end in .safetensors")
    if output.exists() and not overwrite:
        raise LncaError(f"{output} exists; add --overwrite to replace it")
    state = read_public(source)
    module = build(model, state_dict=state)
    save_weights(output, module, model, DEDUCED[model](state), {"model": model, "source": source.name})
    print(output)

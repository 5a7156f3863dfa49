"""`lnca train`."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from click.exceptions import Exit

from .declare import Option
from .options import Data, Device, SkipBroken, checked_task

if TYPE_CHECKING:
    from ..training.run import Run


def train(
    model: Annotated[
        str,
        Option(
            help="pyramid, lnca, latent-nafca, latent-vitca, vitca, nafnet, restormer, or a preset: vitca-tiny, "
            "nafnet-tiny, restormer-tiny."
        ),
    ],
    task: Annotated[str, Option(help="denoise, deblur, photo-denoise or photo-deblur.")],
    data: Data,
    out: Annotated[Path, Option(help="Folder of the run: checkpoints, logs, contact sheets, weights.")],
    recipe: Annotated[
        str,
        Option(help="stable, paper, lnca-denoise, photo-denoise, or a YAML file."),
    ] = "stable",
    epochs: Annotated[int | None, Option(min=1, help="Epochs of each phase; default: the recipe's.")] = None,
    minutes: Annotated[
        float | None,
        Option(min=0, help="For photographs: use as many crops as fit into this time; default: the recipe's."),
    ] = None,
    seed: Annotated[int, Option(help="Seed of the split, the initial weights and all random draws.")] = 0,
    batch_size: Annotated[int | None, Option(min=1, help="Samples in a batch; default: the recipe's.")] = None,
    change: Annotated[
        list[str] | None, Option("--set", help="Change a field of the recipe: automaton.latent=1.")
    ] = None,
    initial: Annotated[
        str | None, Option("--init", help="Begin with these weights: a model's name, or a weight file.")
    ] = None,
    also: Annotated[
        Path | None,
        Option(help="Folder of more photographs, all of which are trained on: none is validated or tested on."),
    ] = None,
    device: Device = "auto",
    devices: Annotated[
        int, Option(min=1, help="Processes that share each batch, one per GPU; see docs/training.md.")
    ] = 1,
    resume: Annotated[bool, Option("--resume", help="Continue the run in OUT.")] = False,
    skip_broken: SkipBroken = False,
) -> None:
    """Train a model on a folder of pictures."""
    from ..catalogue import locate
    from ..kernels.devices import choose_device
    from ..memory import keep_freed_memory
    from ..training.plan import Plan
    from ..training.recipe import load_recipe, with_epochs
    from ..training.run import Interrupted, Run
    from ..training.world import launch
    from .progress import training_bars

    changes = [*(change or []), *([] if batch_size is None else [f"batch_size={batch_size}"])]
    chosen = load_recipe(recipe, changes)
    if epochs is not None:
        chosen = with_epochs(chosen, epochs)
    beginning = None if initial is None else locate(initial)
    plan = Plan(model, checked_task(task), data, chosen, seed, beginning, minutes, also)
    keep_freed_memory()
    with launch(choose_device(device), devices) as (world, place):
        try:
            with training_bars(shown=world.first) as report:
                run = Run(plan, out, place, resume=resume, skip_broken=skip_broken, progress=report, world=world)
                weights = run()
        except Interrupted as interruption:
            if world.first:
                best = "" if interruption.weights is None else f"; the best weights so far are {interruption.weights}"
                _say_speed(run)
                print(f"stopped; {out} holds everything, go on with --resume{best}")
            raise Exit(130 if interruption.signal == signal.SIGINT else 0) from interruption
        if world.first:
            _say_speed(run)
            print(weights)


def _say_speed(run: "Run") -> None:
    if run.pixels:
        print(f"trained on {run.megapixels_per_second:.3g} megapixels a second", file=sys.stderr)

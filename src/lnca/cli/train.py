"""`lnca train`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from .options import Data, Device, checked_task
from .progress import training_bars


def train(
    model: Annotated[
        str, typer.Option(help="latent-nafca, latent-vitca, vitca, nafnet, restormer, or a preset such as nafnet-tiny.")
    ],
    task: Annotated[str, typer.Option(help="denoise, deblur, photo-denoise or photo-deblur.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, logs, contact sheets, weights.")],
    recipe: Annotated[str, typer.Option(help="stable, paper, or a YAML file.")] = "stable",
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each phase; default: the recipe's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and everything drawn.")] = 0,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Samples in a batch; default: the recipe's.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field of the recipe: automaton.latent=1.")
    ] = None,
    initial: Annotated[
        str | None, typer.Option("--init", help="Begin with these weights: a model's name, or a weight file.")
    ] = None,
    device: Device = "auto",
    devices: Annotated[
        int, typer.Option(min=1, help="Processes that share each batch, one on each GPU: docs/training.md.")
    ] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in OUT.")] = False,
) -> None:
    """Train a model on a folder of pictures."""
    from ..catalogue import locate
    from ..memory import keep_freed_memory
    from ..restoration.restorer import choose_device
    from ..training.plan import Plan
    from ..training.recipe import load_recipe, with_epochs
    from ..training.run import Interrupted, Run
    from ..training.world import launch

    changes = [*(change or []), *([] if batch_size is None else [f"batch_size={batch_size}"])]
    chosen = load_recipe(recipe, changes)
    if epochs is not None:
        chosen = with_epochs(chosen, epochs)
    beginning = None if initial is None else locate(initial)
    plan = Plan(model, checked_task(task), data, chosen, seed, beginning)
    keep_freed_memory()
    with launch(choose_device(device), devices) as (world, place):
        try:
            with training_bars(shown=world.first) as report:
                weights = Run(plan, out, place, resume=resume, progress=report, world=world)()
        except Interrupted as interruption:
            if world.first:
                print(f"stopped; {out} holds everything, go on with --resume")
            raise typer.Exit(130 if interruption.signal == signal.SIGINT else 0) from interruption
        if world.first:
            print(weights)

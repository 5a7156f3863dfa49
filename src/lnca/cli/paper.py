"""`lnca paper run`, `report`, `figures` and `search`."""

import json as json_format
import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LncaError
from .options import Data, Device, Json, checked_paper_task

app = typer.Typer(help="The paper's experiments: Tables 1 and 2 made again, beside the paper's figures.")

RESULTS = Path("benchmarks/results/paper")

Results = Annotated[Path, typer.Option(help="Folder of the result files.")]
Tiles = Annotated[Path, typer.Option(help="Folder with the prepared tiles of each column, TILES/NAME.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="Change a field of the recipe.")]
Recipe = Annotated[str, typer.Option(help="stable, paper, or a YAML file.")]


@app.command()
def run(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="table1 (denoising) or table2 (deblurring).")],
    columns: Annotated[str, typer.Option(help="Names, separated by commas, or all.")] = "photos",
    models: Annotated[str, typer.Option(help="Names, separated by commas, or all, or tiny.")] = "all",
    tiles: Annotated[Path, typer.Option(help="Folder with the prepared tiles of each column, TILES/NAME.")] = Path(
        "tiles"
    ),
    out: Annotated[Path, typer.Option(help="Folder of the trainings.")] = Path("runs/paper"),
    results: Results = RESULTS,
    budget: Annotated[str, typer.Option(help="epochs=N: passes over the training tiles, in all phases.")] = "epochs=20",
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop, saved, after so long; run again to go on.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and everything drawn.")] = 0,
    recipe: Recipe = "stable",
    change: Changes = None,
    device: Device = "auto",
) -> None:
    """Train and score models for columns of a table; what is done is skipped, what was begun goes on."""
    from ..kernels.devices import choose_device
    from ..paper.columns import chosen_columns, chosen_models, shared_epochs
    from ..paper.experiment import Experiment, run_experiment
    from ..training.recipe import load_recipe
    from ..training.run import Interrupted
    from .progress import training_bars

    kind, _, count = budget.partition("=")
    if kind != "epochs" or not count.isdecimal() or int(count) < 1:
        raise LncaError(f"--budget should be epochs=N with N >= 1, got {budget!r}")
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    chosen = choose_device(device)
    experiments = []
    for column in chosen_columns(table, columns):
        base = load_recipe(recipe, [*column.changes, *(change or [])])
        for model in chosen_models(models):
            experiment = Experiment(column, model, base, tiles, seed)
            shared = shared_epochs(base, experiment.architecture, int(count))
            experiments.append(Experiment(column, model, shared, tiles, seed))
    for experiment in experiments:
        experiment.data()
    waiting = 0
    for experiment in experiments:
        print(experiment.name, end=": ", flush=True)
        try:
            with training_bars() as report:
                path = run_experiment(experiment, out, results, chosen, deadline, report)
        except Interrupted as interruption:
            print(f"stopped; {out} holds everything, run again to go on")
            raise typer.Exit(130) from interruption
        waiting += path is None
        print(path or "time is up")
    if waiting:
        print(f"{waiting} of {len(experiments)} are not done; run again to go on")


@app.command()
def report(results: Results = RESULTS, json: Json = False) -> None:
    """Print Tables 1 and 2, the paper's figures and ours side by side; "-" where there is none."""
    from ..paper.report import as_json, as_text

    print(as_json(results) if json else as_text(results))


@app.command()
def figures(
    out: Annotated[Path, typer.Option(help="Folder that gets the pictures.")] = Path("docs/images"),
    results: Results = RESULTS,
    runs: Annotated[Path, typer.Option(help="Folder of the trainings.")] = Path("runs/paper"),
    tiles: Tiles = Path("tiles"),
    column: Annotated[str, typer.Option(help="Name of the column that is shown.")] = "photos",
    count: Annotated[int, typer.Option(min=1, help="Tiles in a sheet.")] = 8,
) -> None:
    """Draw restorations by all models, the latent swap, SSIM against steps and learning curves."""
    from ..paper.figures import draw_all

    for path in draw_all(out, results, runs, tiles, column, count):
        print(path)


@app.command()
def search(
    model: Annotated[str, typer.Option(help="An architecture.")],
    task: Annotated[str, typer.Option(help="denoise or deblur.")],
    data: Data,
    grid: Annotated[list[str], typer.Option(help="A field and its values: autoencoder.distance=1,10,100")],
    out: Annotated[Path, typer.Option(help="Folder of trainings, study and best recipe.")] = Path("runs/search"),
    recipe: Recipe = "stable",
    change: Changes = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each phase; default: the recipe's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the weights and everything drawn.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
    storage: Annotated[str | None, typer.Option(help="Address of an Optuna storage; default: OUT/study.db.")] = None,
    json: Json = False,
) -> None:
    """Grid search of loss weights (or any field of a recipe) by validation SSIM; run again, it goes on."""
    from ..paper.search import Search, parse_grid, run_search
    from ..training.recipe import PHASES, load_recipe

    changes = list(change or [])
    if epochs is not None:
        base = load_recipe(recipe, changes)
        names = sorted({name for phases in PHASES.values() for name in phases if getattr(base, name).epochs})
        changes += [f"{name}.epochs={epochs}" for name in names]
    asked = Search(
        model=model,
        task=checked_paper_task(task),
        data=data,
        recipe=recipe,
        changes=changes,
        grid=parse_grid(grid),
        folder=out,
        seed=seed,
        storage=storage,
    )
    result = run_search(asked, workers)
    if json:
        print(json_format.dumps(result, indent=2))
        return
    for point in result["points"]:
        values = ", ".join(f"{name}={value}" for name, value in point["values"].items())
        print(f"{values}  SSIM " + ("-" if point["ssim"] is None else f"{point['ssim']:.4f}"))
    print(f"best: {result['best']}; {result['recipe']}")

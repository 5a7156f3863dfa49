"""`lnca paper run`, `report`, `figures` and `search`."""

import json as json_format
import time
from pathlib import Path
from typing import Annotated

from click.exceptions import Exit

from ..errors import LncaError
from .declare import Argument, Group, Option
from .options import Data, Device, Json, checked_paper_task

app = Group("paper", help="Repeat the paper's experiments: Tables 1 and 2, beside the paper's figures.")

RESULTS = Path("benchmarks/results/paper")

Results = Annotated[Path, Option(help="Folder of the result files.")]
Tiles = Annotated[Path, Option(help="Folder with the prepared tiles of each column, TILES/NAME.")]
Changes = Annotated[list[str] | None, Option("--set", help="Change a field of the recipe.")]
Recipe = Annotated[str, Option(help="stable, paper, or a YAML file.")]


@app.declared()
def run(
    table: Annotated[str, Argument(metavar="TABLE", help="table1 (denoising) or table2 (deblurring).")],
    columns: Annotated[str, Option(help="Names of columns, separated by commas, or all.")] = "photos",
    models: Annotated[str, Option(help="Names of models, separated by commas, or all, or tiny.")] = "all",
    tiles: Annotated[Path, Option(help="Folder with the prepared tiles of each column, TILES/NAME.")] = Path("tiles"),
    out: Annotated[Path, Option(help="Folder of the training runs.")] = Path("runs/paper"),
    results: Results = RESULTS,
    budget: Annotated[str, Option(help="epochs=N: passes over the training tiles, in all phases.")] = "epochs=20",
    minutes: Annotated[float | None, Option(min=0, help="Save and stop after this time; run again to resume.")] = None,
    seed: Annotated[int, Option(help="Seed of the split, the initial weights and all random draws.")] = 0,
    recipe: Recipe = "stable",
    change: Changes = None,
    device: Device = "auto",
) -> None:
    """Train and score models for columns of a table. Finished runs are skipped, interrupted ones resume."""
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
            raise Exit(130) from interruption
        waiting += path is None
        print(path or "time is up")
    if waiting:
        print(f"{waiting} of {len(experiments)} are not done; run again to go on")


@app.declared()
def report(results: Results = RESULTS, json: Json = False) -> None:
    """Print Tables 1 and 2: the paper's figures and ours side by side, or "-" if there is none."""
    from ..paper.report import as_json, as_text

    print(as_json(results) if json else as_text(results))


@app.declared()
def figures(
    out: Annotated[Path, Option(help="Folder for the pictures.")] = Path("docs/images"),
    results: Results = RESULTS,
    runs: Annotated[Path, Option(help="Folder of the training runs.")] = Path("runs/paper"),
    tiles: Tiles = Path("tiles"),
    column: Annotated[str, Option(help="Name of the column to show.")] = "photos",
    count: Annotated[int, Option(min=1, help="Tiles in a sheet.")] = 8,
) -> None:
    """Draw restorations by all models, the latent swap, SSIM against steps and learning curves."""
    from ..paper.figures import draw_all

    for path in draw_all(out, results, runs, tiles, column, count):
        print(path)


@app.declared()
def search(
    model: Annotated[str, Option(help="Name of an architecture.")],
    task: Annotated[str, Option(help="denoise or deblur.")],
    data: Data,
    grid: Annotated[list[str], Option(help="A field and its values: autoencoder.distance=1,10,100")],
    out: Annotated[Path, Option(help="Folder for training runs, study and best recipe.")] = Path("runs/search"),
    recipe: Recipe = "stable",
    change: Changes = None,
    epochs: Annotated[int | None, Option(min=1, help="Epochs of each phase; default: the recipe's.")] = None,
    seed: Annotated[int, Option(help="Seed of the split, the initial weights and all random draws.")] = 0,
    workers: Annotated[int, Option(min=1, help="Number of training runs at a time.")] = 1,
    storage: Annotated[str | None, Option(help="Address of an Optuna storage; default: OUT/study.db.")] = None,
    json: Json = False,
) -> None:
    """Grid search of loss weights (or any field of a recipe) by validation SSIM. Run it again to resume."""
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

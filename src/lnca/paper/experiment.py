"""One cell of a table: a model trained on a column's tiles, and its scores on the column's test split."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..architectures import resolve
from ..data.prepared import Prepared, is_prepared
from ..data.tile_set import open_tiles
from ..errors import LncaError
from ..evaluation.quality import evaluate, steps_curve
from ..files import write_whole
from ..nn.model import SteppedModel
from ..restoration.restorer import Restorer
from ..training.checkpoint import checkpoints
from ..training.plan import Plan, commit
from ..training.recipe import PHASES, Recipe
from ..training.run import Interrupted, Run
from .columns import Column

Progress = Callable[[str, int, int, dict[str, float]], None]


@dataclass(frozen=True)
class Experiment:
    """A model to train for a column.

    Args:
        column: column of a table.
        model: an architecture or a preset.
        recipe: the recipe, with its final number of epochs.
        tiles: folder with the prepared tiles of each data set, by its name.
        seed: seed of the split, the weights and all random draws; the same for all models of a column.
    """

    column: Column
    model: str
    recipe: Recipe
    tiles: Path
    seed: int = 0

    @property
    def architecture(self) -> str:
        return resolve(self.model, {})[0]

    @property
    def epochs(self) -> int:
        """Passes over the training tiles in all phases together."""
        return sum(getattr(self.recipe, phase).epochs for phase in PHASES[self.architecture])

    @property
    def name(self) -> str:
        """A name that differs for all experiments in the same folder."""
        some = "" if self.recipe.training_tiles is None else f"-{self.recipe.training_tiles}-tiles"
        return f"{self.column.name}-{self.model}-{self.recipe.name}-{self.epochs}-epochs{some}-seed-{self.seed}"

    def data(self) -> Path:
        """The column's prepared tiles; raises `LncaError` if they do not exist."""
        folder = self.tiles / self.column.data
        if not is_prepared(folder):
            source = "folder PICTURES" if self.column.data == "photos" else f"{self.column.data} ROOT"
            raise LncaError(f"{folder} holds no tiles; make them: lnca data prepare {source} --out {folder}")
        return folder


def run_experiment(
    experiment: Experiment,
    folder: Path,
    results: Path,
    device: torch.device | str = "cpu",
    deadline: float | None = None,
    progress: Progress = lambda *_: None,
) -> Path | None:
    """Trains or resumes training, and scores; does nothing if the result exists.

    Args:
        folder: folder for the run's folder.
        results: folder for the result, a JSON file.
        device: device of the training.
        deadline: time of `time.monotonic` at which training saves and stops.

    Returns:
        The result file; None if the time ran out.

    Raises:
        Interrupted: after Ctrl-C; the state is saved.
        LncaError: tiles are missing, or a loss exploded.
    """
    path = results / f"{experiment.name}.json"
    if path.exists():
        return path
    out = folder / experiment.name
    plan = Plan(experiment.model, experiment.column.task, experiment.data(), experiment.recipe, experiment.seed)
    weights = out / f"{plan.name}.safetensors"
    if not weights.exists():
        if deadline is not None and time.monotonic() >= deadline:
            return None
        run = Run(plan, out, device, resume=bool(checkpoints(out)), progress=progress)
        timer = threading.Timer(max(0.0, (deadline or 0.0) - time.monotonic()), run.interrupt)
        timer.daemon = True
        if deadline is not None:
            timer.start()
        try:
            weights = run()
        except Interrupted:
            if deadline is not None and time.monotonic() >= deadline:
                return None
            raise
        finally:
            timer.cancel()
    write_whole(path, (json.dumps(score(experiment, weights, device), indent=1) + "\n").encode())
    return path


def score(experiment: Experiment, weights: Path, device: torch.device | str) -> dict[str, Any]:
    """The result of finished weights, in the form of the result file."""
    column, recipe, seed = experiment.column, experiment.recipe, experiment.seed
    restorer = Restorer(weights, str(device))
    tiles = open_tiles(experiment.data(), "test", seed, recipe.tile)
    count = len(open_tiles(experiment.data(), "train", seed, recipe.tile, recipe.training_tiles))
    quality = evaluate(restorer.restore, tiles, column.task, seed=seed)
    module, card = restorer.module, restorer.info.card
    curve = steps_curve(module, tiles, column.task, seed=seed) if isinstance(module, SteppedModel) else None
    return {
        "table": column.table,
        "column": column.data,
        "task": column.task,
        "model": experiment.model,
        "parameters": restorer.info.parameters,
        "seed": seed,
        "recipe": recipe.name,
        "batch_size": recipe.batch_size,
        "precision": recipe.precision,
        "epochs": {name: getattr(recipe, name).epochs for name in PHASES[experiment.architecture]},
        "samples": experiment.epochs * (count // recipe.batch_size) * recipe.batch_size,
        "device": device_name(device),
        "torch": torch.__version__,
        "commit": commit(),
        "note": Prepared.open(experiment.data()).note,
        **quality,
        "steps": curve,
        "history": [
            {key: row[key] for key in ("phase", "epoch", "loss", "validation_ssim", "validation_psnr")}
            for row in card["history"]
        ],
    }


def device_name(device: torch.device | str) -> str:
    """The name of the device that computed a result."""
    kind = torch.device(device)
    return torch.cuda.get_device_name(kind) if kind.type == "cuda" else kind.type

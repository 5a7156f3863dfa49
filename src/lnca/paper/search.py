"""Grid search of the loss weights on the validation set (paper 3.2.1) by Optuna, or of any other field of a recipe."""

import contextlib
import dataclasses
import itertools
import json
import math
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from ..corruption import Task
from ..errors import LncaError
from ..files import write_whole
from ..training.checkpoint import checkpoints
from ..training.plan import Plan
from ..training.recipe import Recipe, load_recipe
from ..training.run import Run
from ..workers import QuietWorkers

try:
    import optuna
except ModuleNotFoundError as error:
    raise LncaError("the grid search needs Optuna: pip install 'lnca[search]'") from error


@dataclass(frozen=True)
class Search:
    """A grid search.

    Args:
        model, task, data, seed: of every training; see `Plan`.
        recipe: name or path of the recipe that is changed.
        changes: changes that all trainings share, as `--set` takes them.
        grid: values of each field, such as {"autoencoder.distance": [1, 10, 100]}.
        folder: gets the trainings, the study (SQLite) and the best recipe.
        storage: address of another Optuna storage; None keeps the study in the folder.
    """

    model: str
    task: Task
    data: Path
    recipe: str
    changes: list[str]
    grid: dict[str, list[Any]]
    folder: Path
    seed: int = 0
    storage: str | None = None

    def recipe_of(self, values: dict[str, Any]) -> Recipe:
        """The recipe at one point of the grid."""
        return load_recipe(self.recipe, [*self.changes, *(f"{name}={json.dumps(v)}" for name, v in values.items())])

    @property
    def size(self) -> int:
        """Points of the grid."""
        return math.prod(map(len, self.grid.values()))

    def study(self) -> "optuna.Study":
        """The study, made or opened; raises `LncaError` when the folder holds one of another grid."""
        self.folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = self.storage or f"sqlite:///{self.folder / 'study.db'}"
        study = optuna.create_study(
            study_name=f"{self.model}-{self.task}",
            storage=storage,
            direction="maximize",
            sampler=optuna.samplers.GridSampler(self.grid, seed=self.seed),
            load_if_exists=True,
        )
        asked = json.loads(json.dumps({"grid": self.grid, "recipe": self.recipe, "changes": self.changes}))
        known = study.user_attrs.get("search")
        if known not in (None, asked):
            raise LncaError(f"{storage} holds a search of another grid or recipe; give another --out")
        study.set_user_attr("search", asked)
        return study

    def train(self, trial: "optuna.Trial") -> float:
        """One point of the grid: the best validation SSIM of the last phase."""
        values = {name: trial.suggest_categorical(name, options) for name, options in self.grid.items()}
        number = list(itertools.product(*self.grid.values())).index(tuple(values.values()))
        folder = self.folder / f"point-{number:03d}"
        plan = Plan(self.model, self.task, self.data, self.recipe_of(values), self.seed)
        run = Run(plan, folder, resume=bool(checkpoints(folder)))
        try:
            run()
        except LncaError as error:
            trial.set_user_attr("stopped", str(error))
            raise optuna.TrialPruned(str(error)) from error
        last = run.history[-1]["phase"]
        return max(row["validation_ssim"] for row in run.history if row["phase"] == last)


def parse_grid(fields: Iterable[str]) -> dict[str, list[Any]]:
    """Reads "autoencoder.distance=1,10,100"; raises `LncaError` for anything else."""
    grid = {}
    for text in fields:
        name, equals, values = text.partition("=")
        if not equals or not name or not values:
            raise LncaError(f"{text!r} should have the form field=value,value,...")
        grid[name] = [yaml.safe_load(value) for value in values.split(",")]
    if not grid:
        raise LncaError("give at least one --grid field=value,value,...")
    return grid


def _work(search: Search, threads: int) -> None:
    torch.set_num_threads(threads)
    study = search.study()
    while sum(trial.state.is_finished() for trial in study.trials) < search.size:
        before = len(study.trials)
        study.optimize(search.train, n_trials=1)
        if len(study.trials) == before:
            return


def _worker(search: Search, threads: int) -> None:
    """A training saves itself when interrupted; that the search was is said by the process that began it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        _work(search, threads)


def run_search(search: Search, workers: int = 1) -> dict[str, Any]:
    """Trains every point of the grid that is not done, and saves the best recipe.

    Returns:
        {"recipe": path, "best": values, "ssim": on the validation set, "points": [each point's values and SSIM]}.

    Raises:
        LncaError: a field or value that a recipe does not take, no point that could be trained.
    """
    for point in itertools.product(*search.grid.values()):
        search.recipe_of(dict(zip(search.grid, point, strict=True)))
    search.study()
    threads = max(1, torch.get_num_threads() // workers)
    if workers == 1:
        _work(search, threads)
    else:
        with QuietWorkers(workers) as pool:
            for future in [pool.submit(_worker, search, threads) for _ in range(workers)]:
                future.result()
    study = search.study()
    points = [
        {"values": trial.params, "ssim": trial.value, **trial.user_attrs}
        for trial in study.trials
        if trial.state.is_finished()
    ]
    if not any(point["ssim"] is not None for point in points):
        raise LncaError("no point of the grid could be trained; the study says why: " + points[0].get("stopped", ""))
    best = search.recipe_of(study.best_params)
    plain = json.loads(json.dumps(dataclasses.asdict(dataclasses.replace(best, name=f"{best.name}-searched"))))
    path = search.folder / "best.yaml"
    write_whole(path, yaml.safe_dump(plain, sort_keys=False).encode())
    return {"recipe": str(path), "best": study.best_params, "ssim": study.best_value, "points": points}

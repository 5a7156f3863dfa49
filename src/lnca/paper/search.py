"""Grid search of the loss weights on the validation set (paper 3.2.1) by Optuna, or of any other field of a recipe.

Every point of the grid waits as a trial in the study's database. Workers take one point after the other; they may
belong to several commands on any number of machines. A worker sends heartbeats while it trains. Without heartbeats the
trial is marked as failed, and its point waits again.
"""

import contextlib
import dataclasses
import itertools
import json
import signal
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from ..corruption import Task
from ..errors import LncaError, in_short
from ..files import write_whole
from ..kernels.devices import use_threads
from ..training.checkpoint import checkpoints
from ..training.plan import Plan
from ..training.recipe import Recipe, load_recipe
from ..training.run import Interrupted, Run
from ..workers import QuietWorkers

try:
    import optuna
    import sqlalchemy
    from optuna.trial import TrialState
except ModuleNotFoundError as error:
    raise LncaError("the grid search needs Optuna: pip install 'lnca[search]'") from error


# Seconds between a worker's heartbeats, and seconds without a heartbeat after which it counts as dead.
HEARTBEAT, GRACE = 20, 90
# How often a point is tried again after its worker died.
RETRIES = 3
# Seconds that SQLite waits for another writer; tries to open a database that another process is creating.
LOCK = 120
ATTEMPTS = 20


@dataclass(frozen=True, kw_only=True)
class Search:
    """A grid search.

    Args:
        model, task, data, seed: settings of every training run, see `Plan`.
        recipe: name or path of the recipe to change.
        changes: changes that all runs share, in the form of `--set`.
        grid: values of each field, such as {"autoencoder.distance": [1, 10, 100]}.
        folder: folder for the training runs, the study (SQLite) and the best recipe.
        storage: address of a database for SQLAlchemy; None keeps the study in the folder.
        heartbeat, grace: seconds between a worker's heartbeats, and seconds without one after which it counts as dead.
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
    heartbeat: int = HEARTBEAT
    grace: int = GRACE

    def recipe_of(self, values: dict[str, Any]) -> Recipe:
        """The recipe at one point of the grid."""
        return load_recipe(self.recipe, [*self.changes, *(f"{name}={json.dumps(v)}" for name, v in values.items())])

    def points(self) -> list[dict[str, Any]]:
        """The values of each point of the grid; a point's number is its position."""
        return [dict(zip(self.grid, point, strict=True)) for point in itertools.product(*self.grid.values())]

    @property
    def address(self) -> str:
        """Address of the database."""
        return self.storage or f"sqlite:///{self.folder / 'study.db'}"

    def study(self) -> "optuna.Study":
        """Creates or opens the study; every point in it waits, is in progress or is done.

        Raises:
            LncaError: the database cannot be used, or holds a search with another grid.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        address = self.address
        study = self._opened(address)
        asked = json.loads(json.dumps({"grid": self.grid, "recipe": self.recipe, "changes": self.changes}))
        known = study.user_attrs.get("search")
        if known not in (None, asked):
            shown = _without_password(address)
            raise LncaError(f"{shown} holds a search of another grid or recipe; give another --out or --storage")
        study.set_user_attr("search", asked)
        return study

    def _opened(self, address: str) -> "optuna.Study":
        attempts = ATTEMPTS
        while True:
            attempts -= 1
            try:
                return self._open(sqlalchemy.make_url(address))
            except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, ImportError) as error:
                reason = str(error.__cause__ or error).strip().splitlines()[0]
                # Another command is creating the same tables.
                if not attempts or not ("already exists" in reason or "duplicate key" in reason):
                    raise LncaError(f"{_without_password(address)} cannot be used as a storage: {reason}") from error
                time.sleep(0.5)

    def _open(self, url: "sqlalchemy.URL") -> "optuna.Study":
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Hold no connection to a database server during training.
        engine: dict[str, Any] = {"poolclass": sqlalchemy.pool.NullPool}
        if url.get_backend_name() == "sqlite":
            engine = {"connect_args": {"timeout": LOCK}}
        with _quiet():
            storage = optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False),
                engine_kwargs=engine,
                heartbeat_interval=self.heartbeat,
                grace_period=self.grace,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(RETRIES),
            )
        return optuna.create_study(
            study_name=f"{self.model}-{self.task}",
            storage=storage,
            direction="maximize",
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(self.seed),
        )

    def missing(self, study: "optuna.Study") -> list[int]:
        """The points that neither wait nor are in progress or done."""
        trials = study.get_trials(deepcopy=False)
        alive = {trial.user_attrs.get("point") for trial in trials if trial.state != TrialState.FAIL}
        return [number for number in range(len(self.points())) if number not in alive]

    def awaited(self, study: "optuna.Study") -> list[int]:
        """The missing points with tries left; the process that found their worker dead will enqueue them again."""
        tries: dict[int | None, int] = {}
        for trial in study.get_trials(deepcopy=False):
            tries[trial.user_attrs.get("point")] = len(trial.system_attrs.get("retry_history", ()))
        return [number for number in self.missing(study) if tries.get(number, 0) < RETRIES]

    def enqueue(self, study: "optuna.Study", numbers: list[int]) -> None:
        """Lets points wait as trials."""
        points = self.points()
        for number in numbers:
            study.enqueue_trial(points[number], {"point": number})

    def train(self, trial: "optuna.Trial") -> float:
        """Trains one point of the grid; returns the best validation SSIM of the last phase."""
        number = trial.user_attrs.get("point")
        # Two commands that begin at the same time may both enqueue a point: the older trial counts. A trial without a
        # number was requested just after another worker took the last point.
        for other in trial.study.get_trials(deepcopy=False):
            older = other.number < trial.number and other.state != TrialState.FAIL
            if number is None or (older and other.user_attrs.get("point") == number):
                trial.set_user_attr("spare", True)
                raise optuna.TrialPruned("another worker has this point")
        values = {name: trial.suggest_categorical(name, options) for name, options in self.grid.items()}
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

    def results(self, study: "optuna.Study") -> list[dict[str, Any]]:
        """Each point's values and SSIM, or None with the reason."""
        done: dict[int, optuna.trial.FrozenTrial] = {}
        for trial in study.get_trials():
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and not trial.user_attrs.get("spare"):
                done[trial.user_attrs["point"]] = trial
        rows = []
        for number, values in enumerate(self.points()):
            found = done.get(number)
            row = {"values": values, "ssim": None if found is None else found.value}
            stopped = "its worker died each time" if found is None else found.user_attrs.get("stopped")
            rows.append(row if stopped is None else {**row, "stopped": stopped})
        return rows


def _without_password(address: str) -> str:
    try:
        return sqlalchemy.make_url(address).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return address


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences Optuna's warning that heartbeats are experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def parse_grid(fields: Iterable[str]) -> dict[str, list[Any]]:
    """Reads "autoencoder.distance=1,10,100"; raises `LncaError` for anything else."""
    grid = {}
    for text in fields:
        name, equals, values = text.partition("=")
        if not equals or not name or not values:
            raise LncaError(f"{text!r} should have the form field=value,value,...")
        if name in grid:
            raise LncaError(f"--grid {name} is given twice; give all its values at once")
        grid[name] = [yaml.safe_load(value) for value in values.split(",")]
    if not grid:
        raise LncaError("give at least one --grid field=value,value,...")
    return grid


def work(search: Search, threads: int) -> None:
    """Trains waiting points until none waits and no point of another worker may need another try."""
    use_threads(threads)
    study, awaited_since = search.study(), None
    while True:
        with _quiet():
            optuna.storages.fail_stale_trials(study)
        states = {trial.state for trial in study.get_trials(deepcopy=False)}
        if TrialState.WAITING in states:
            awaited_since = None
            try:
                study.optimize(search.train, n_trials=1)
            except (KeyboardInterrupt, Interrupted):
                search.enqueue(study, search.missing(study))
                raise
            except (optuna.exceptions.UpdateFinishedTrialError, ValueError) as error:
                # This worker was silent for too long, so its point waits again, or another worker finished it; the run
                # is saved. Optuna reports this by a class of its own in one place, and by a message in another.
                if type(error) is ValueError and not str(error).startswith("Cannot tell a"):
                    raise
        elif TrialState.RUNNING in states:
            time.sleep(min(search.heartbeat, 2))
        elif awaited := search.awaited(study):
            awaited_since = awaited_since or time.monotonic()
            if time.monotonic() - awaited_since > search.grace:
                # The process that should have enqueued them has died too.
                search.enqueue(study, awaited)
            else:
                time.sleep(min(search.heartbeat, 2))
        else:
            return


def _worker(search: Search, threads: int) -> None:
    """A worker process. An interrupted run saves itself; the parent process reports the interruption."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        work(search, threads)


def _work_in_processes(search: Search, threads: int, workers: int) -> None:
    """Runs `work` in several processes; if one dies, the others continue and try its point again."""
    died = 0
    with contextlib.ExitStack() as stack:
        pools = [stack.enter_context(QuietWorkers(1)) for _ in range(workers)]
        for future in [pool.submit(_worker, search, threads) for pool in pools]:
            try:
                future.result()
            except BrokenProcessPool:
                died += 1
    if died == workers:
        raise LncaError("every worker died, perhaps for want of memory; run it again with fewer --workers")


def run_search(search: Search, workers: int = 1) -> dict[str, Any]:
    """Trains every unfinished point of the grid, and saves the best recipe.

    Several commands of one search share its points; each waits for the others and ends with the same result.

    Returns:
        {"recipe": path, "best": values, "ssim": on the validation set, "points": [each point's values and SSIM]}.

    Raises:
        LncaError: a field or value is wrong, the database cannot be used, or no point could be trained.
    """
    for values in search.points():
        search.recipe_of(values)
    try:
        return _searched(search, workers)
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        where = _without_password(search.address)
        raise LncaError(f"cannot write {where}: {in_short(error.__cause__ or error, 120)}") from error


def _searched(search: Search, workers: int) -> dict[str, Any]:
    study = search.study()
    search.enqueue(study, search.missing(study))
    threads = max(1, torch.get_num_threads() // workers)
    if workers == 1:
        work(search, threads)
    else:
        _work_in_processes(search, threads, workers)
    points = search.results(search.study())
    trained = [point for point in points if point["ssim"] is not None]
    if not trained:
        reason = points[0].get("stopped", "")
        raise LncaError(f"no point of the grid could be trained; the study says why: {reason}")
    # Take the first of equal points, so that every command finds the same one.
    found = max(trained, key=lambda point: point["ssim"])
    best = search.recipe_of(found["values"])
    plain = json.loads(json.dumps(dataclasses.asdict(dataclasses.replace(best, name=f"{best.name}-searched"))))
    path = search.folder / "best.yaml"
    write_whole(path, yaml.safe_dump(plain, sort_keys=False).encode())
    return {"recipe": str(path), "best": found["values"], "ssim": found["ssim"], "points": points}

"""The plan of a training run: everything that a resumed run must share with the first one."""

import dataclasses
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ..corruption import Task
from ..degradation import PhotoTask
from .recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """The plan of a training run.

    Args:
        model: architecture, such as "latent-nafca".
        task: "denoise", "deblur", "photo-denoise" or "photo-deblur".
        data: folder of clean pictures, or one that `lnca data prepare` wrote.
        recipe: see `Recipe`.
        seed: seed of the split, the initial weights and all random draws.
        initial: weight file with initial weights; random weights if None.
        minutes: for photographs, the time of the run on the machine where it begins: epochs get as many crops as fit,
            whatever the recipe says. None keeps the recipe's number.
    """

    model: str
    task: Task | PhotoTask
    data: Path
    recipe: Recipe
    seed: int = 0
    initial: Path | None = None
    minutes: float | None = None
    also: Path | None = None

    @property
    def name(self) -> str:
        """Name of the weight file."""
        return self.task if self.task in get_args(PhotoTask) else f"{self.model}-{self.task}"

    def describe(self) -> dict[str, Any]:
        """The plan as plain data, for the run's folder, the checkpoint and the card."""
        return {
            "model": self.model,
            "task": self.task,
            "seed": self.seed,
            "recipe": json.loads(json.dumps(dataclasses.asdict(self.recipe))),
            **({} if self.initial is None else {"initial": self.initial.stem}),
            **({} if self.minutes is None else {"minutes": self.minutes}),
            **({} if self.also is None else {"also": self.also.name}),
        }


def commit() -> str | None:
    """The commit of the running source tree, with "+" if it has changes; None outside a git repository."""
    try:
        git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty=+"]
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

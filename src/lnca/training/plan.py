"""What is trained: everything a resumed run must share with the first one."""

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
    """A training.

    Args:
        model: architecture, such as "latent-nafca".
        task: "denoise", "deblur", "photo-denoise" or "photo-deblur".
        data: folder of clean pictures, or one that `lnca data prepare` wrote.
        recipe: see `Recipe`.
        seed: of the split, the weights and everything drawn.
        initial: a weight file to begin with; random weights when None.
        minutes: that the training may take on the machine where it begins, for the tasks of photographs: epochs get as
            many crops as fit, whatever the recipe says; None leaves them.
    """

    model: str
    task: Task | PhotoTask
    data: Path
    recipe: Recipe
    seed: int = 0
    initial: Path | None = None
    minutes: float | None = None

    @property
    def name(self) -> str:
        """Name of the weight file."""
        return self.task if self.task in get_args(PhotoTask) else f"{self.model}-{self.task}"

    def describe(self) -> dict[str, Any]:
        """Plain data, for the run's folder, the checkpoint and the card."""
        return {
            "model": self.model,
            "task": self.task,
            "seed": self.seed,
            "recipe": json.loads(json.dumps(dataclasses.asdict(self.recipe))),
            **({} if self.initial is None else {"initial": self.initial.stem}),
            **({} if self.minutes is None else {"minutes": self.minutes}),
        }


def commit() -> str | None:
    """The commit of the source tree that runs, with "+" when it was changed since; None outside a git repository."""
    try:
        git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty=+"]
        return subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None

"""The trainer of each phase of a recipe."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ..nn.model import RestorationModel
from .autoencoder import AutoencoderTrainer
from .automaton import AutomatonTrainer, PixelTrainer
from .batch import Trainer
from .direct import DirectTrainer
from .pyramid import NoiseLevelTrainer, PyramidTrainer
from .recipe import Recipe
from .residual import ResidualTrainer
from .world import ALONE, World

# Phases are fields of the recipe; `recipe.PHASES` has those of each architecture.
TRAINERS: dict[str, Callable[..., Trainer]] = {
    "autoencoder": AutoencoderTrainer,
    "automaton": AutomatonTrainer,
    "joint": partial(AutomatonTrainer, joint=True),
    "residual": ResidualTrainer,
    "noise_level": NoiseLevelTrainer,
    "pyramid": PyramidTrainer,
    "vitca": PixelTrainer,
    "nafnet": DirectTrainer,
    "restormer": DirectTrainer,
}


def trainer_of(phase: str, model: RestorationModel, recipe: Recipe, batches: int, world: World = ALONE) -> Trainer:
    """The trainer of a model for one phase of a recipe.

    Args:
        phase: name of a phase of the model's architecture.
        batches: number of batches of the phase.
    """
    settings: Any = getattr(recipe, phase)
    return TRAINERS[phase](model, recipe, settings, batches, world)

"""What trains each phase of a recipe."""

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

# By the phases' names, which are fields of the recipe; `recipe.PHASES` says which an architecture has.
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
    """What trains a model in one phase of a recipe.

    Args:
        phase: one of those of the model's architecture.
        batches: how many the phase has.
    """
    settings: Any = getattr(recipe, phase)
    return TRAINERS[phase](model, recipe, settings, batches, world)

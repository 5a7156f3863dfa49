"""The one phase of NAFNet and Restormer: from corrupted to clean pictures."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..nn.model import RestorationModel
from .batch import Batch, Exploded, split
from .optimizer import Optimizer
from .recipe import DirectPhase, Recipe
from .world import ALONE, World


def negative_psnr(restored: Tensor, anchor: Tensor) -> Tensor:
    """NAFNet's loss: minus the mean PSNR in dB of the pictures."""
    return 10 * ((restored - anchor).square().mean((1, 2, 3)) + 1e-8).log10().mean()


def absolute(restored: Tensor, anchor: Tensor) -> Tensor:
    """Restormer's loss: the mean absolute error."""
    return (restored - anchor).abs().mean()


LOSSES = {"psnr": negative_psnr, "l1": absolute}


class DirectTrainer:
    """Takes one gradient step a batch."""

    def __init__(self, model: RestorationModel, recipe: Recipe, phase: DirectPhase, batches: int, world: World = ALONE):
        self.model, self.recipe, self.world = model, recipe, world
        self.loss = LOSSES[phase.loss]
        self.optimizer = Optimizer(model.parameters(), phase.optimizer, batches, world)

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Takes the gradient step; returns its loss."""
        self.model.train()
        batch = batch.of(self.world.part(len(batch.anchor)))
        values: list[float] = []

        def parts() -> Iterator[Tensor]:
            for positive, anchor in split((batch.positive, batch.anchor), self.recipe.micro_batches):
                loss = self.loss(self._restored(positive), anchor) * (len(positive) / len(batch.positive))
                values.append(self.world.mean(loss.detach()).item())
                if not values[-1] < self.recipe.exploded:
                    raise Exploded(f"the loss became {values[-1]:g}")
                yield loss

        self.optimizer.step_on_sum(parts())
        return {"loss": sum(values)}

    @torch.no_grad()
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """Restores with the whole model."""
        self.model.eval()
        return self._restored(positive).clamp(0, 1)

    def _restored(self, positive: Tensor) -> Tensor:
        with torch.autocast(positive.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            return self.model(positive).float()

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])

"""Trains an automaton on three lattices in two phases: first its estimator of noise levels, then all other parts.

The second phase gets the true levels. So neither learns to compensate for the other's errors, and a user who knows the
noise level of a picture can set it.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from ..nn.pyramid import PyramidAutomaton
from . import losses
from .batch import Batch, Exploded, decibels, shared, split
from .optimizer import Optimizer
from .recipe import NoiseLevelPhase, PyramidPhase, Recipe
from .world import ALONE, World


class LevelTrainer:
    """Takes one gradient step a batch, on pictures that come with their noise levels.

    Attributes:
        kept: the model that is validated and saved.
    """

    kept: PyramidAutomaton
    optimizer: Optimizer

    def __init__(self, model: PyramidAutomaton, recipe: Recipe, world: World):
        self.model, self.recipe, self.world = model, recipe, world
        # Convolutions are a quarter faster in this layout.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Takes the gradient step; returns its loss."""
        self.model.train()
        batch = batch.of(self.world.part(len(batch.anchor)))
        total = 0.0

        def parts() -> Iterator[Tensor]:
            nonlocal total
            for part in batch.parts(self.recipe.micro_batches):
                with self._autocast(part.positive):
                    loss = self.loss(part)
                share = len(part.anchor) / len(batch.anchor)
                found = shared({"loss": loss}, self.world)["loss"]
                if not found < self.recipe.exploded:
                    raise Exploded(f"the loss became {found:g}")
                total += share * found
                yield share * loss

        self.optimizer.step_on_sum(parts())
        return {"loss": total}

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The loss, a mean over the pictures."""

    @abstractmethod
    def scores(self, batch: Batch) -> dict[str, Tensor]:
        """Validation scores of each picture, beside those of its restored picture."""

    @abstractmethod
    def value(self, quality: dict[str, float]) -> float:
        """One number for the means of these scores, higher is better; the best epoch is kept."""

    @torch.no_grad()
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """Restores with the whole model, which estimates the levels."""
        return torch.cat([self._kept(part) for (part,) in self._few(positive)])

    def _kept(self, *given: Tensor | None) -> Tensor:
        """Restores a picture with the kept model and, if they are given, its levels."""
        image, level = (*given, None)[:2]
        assert image is not None
        with self._autocast(image):
            return self.kept.eval()(image, noise_level=level).float()

    def _few(self, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Splits tensors into parts of at most the size of a batch."""
        return split(tensors, -(-len(tensors[0]) // self.recipe.batch_size))

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


class NoiseLevelTrainer(LevelTrainer):
    """Trains the estimator; the other parameters stay."""

    def __init__(
        self, model: PyramidAutomaton, recipe: Recipe, phase: NoiseLevelPhase, batches: int, world: World = ALONE
    ):
        super().__init__(model, recipe, world)
        self.kept = model
        model.requires_grad_(False).estimator.requires_grad_(True)
        self.optimizer = Optimizer(model.estimator.parameters(), phase.optimizer, batches, world)

    def loss(self, batch: Batch) -> Tensor:
        assert batch.level is not None
        return losses.level_error(batch.level, self.model.estimator(batch.positive).float()).mean()

    @torch.no_grad()
    def scores(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.level is not None
        estimated = torch.cat([self.kept.estimator(part) for (part,) in self._few(batch.positive)])
        return {"level_error": losses.level_error(batch.level, estimated)}

    def value(self, quality: dict[str, float]) -> float:
        return -quality["level_error"]


class PyramidTrainer(LevelTrainer):
    """Trains all except the estimator; keeps an exponential moving average of the weights."""

    def __init__(
        self, model: PyramidAutomaton, recipe: Recipe, phase: PyramidPhase, batches: int, world: World = ALONE
    ):
        super().__init__(model, recipe, world)
        self.phase = phase
        model.requires_grad_(True).estimator.requires_grad_(False)
        matrices = [p for p in model.rules.parameters() if p.ndim == 4]
        known = {id(p) for p in matrices}
        others = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
        self.optimizer = Optimizer(others, phase.optimizer, batches, world, matrices, phase.muon)
        self.mean = AveragedModel(model, avg_fn=self._mean_of)
        kept = self.mean.module
        assert isinstance(kept, PyramidAutomaton)
        self.kept = kept

    def _mean_of(self, mean: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        """One update of the moving average. A young average forgets faster, so the initial weights do not stay in
        it."""
        return mean.lerp(now, 1 - min(self.phase.memory, (1 + int(count)) / (10 + int(count))))

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        values = super().train_batch(batch, generator)
        self.mean.update_parameters(self.model)
        return values

    def loss(self, batch: Batch) -> Tensor:
        """The loss of the picture after every step; the last step counts most."""
        assert batch.level is not None
        image = batch.positive.contiguous(memory_format=torch.channels_last)
        _, *restored = self.model.unrolled(image, batch.level, len(self.model.rules))
        weights = [*[self.phase.earlier] * (len(restored) - 1), 1.0]
        errors = [w * losses.charbonnier(batch.anchor, x.float()) for w, x in zip(weights, restored, strict=True)]
        return (losses.level_weights(batch.level) * torch.stack(errors).sum(0)).mean()

    @torch.no_grad()
    def scores(self, batch: Batch) -> dict[str, Tensor]:
        assert batch.level is not None
        restored = torch.cat([self._kept(*few) for few in self._few(batch.positive, batch.level)])
        return {"told_psnr": decibels(restored, batch.anchor)}

    def value(self, quality: dict[str, float]) -> float:
        return quality["told_psnr"]

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "mean": self.mean.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.mean.load_state_dict(state["mean"])

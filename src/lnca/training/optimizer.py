"""Optimizer, learning-rate schedule and what happens to gradients before a step (paper 4.2)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .world import ALONE, World


@dataclass(frozen=True)
class OptimizerSettings:
    """Adam with cosine decay to 0.

    Args:
        learning_rate: its highest value.
        warmup: share of the steps during which it rises linearly to that (0: starts there, as in the paper).
        weight_decay: decoupled (AdamW); 0 is plain Adam.
        normalise_gradients: divide every gradient tensor by its own L2 norm, as the authors do.
        clip_norm: limit of the L2 norm of all gradients together; None leaves them.
    """

    learning_rate: float = 1e-2
    warmup: float = 0.0
    weight_decay: float = 0.0
    normalise_gradients: bool = True
    clip_norm: float | None = None


def learning_rate_factor(step: int, steps: int, warmup: float) -> float:
    """Share of the highest learning rate in optimizer step 0, 1, ..., `steps` - 1."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))


def normalise(gradients: Iterable[Tensor]) -> None:
    """Divides each gradient by its own L2 norm (+ 1e-8), in place."""
    for gradient in gradients:
        gradient.div_(gradient.norm() + 1e-8)


class NotFinite(Exception):
    """A gradient is infinite or not a number; the parameters are as they were."""


class Optimizer:
    """Adam as `OptimizerSettings` says, for `steps` optimizer steps in all; gradients are means over a world."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], settings: OptimizerSettings, steps: int, world: World = ALONE
    ):
        self.parameters, self.world = list(parameters), world
        self.settings = settings
        self.adam = torch.optim.AdamW(
            self.parameters, lr=settings.learning_rate, eps=1e-7, weight_decay=settings.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.adam, lambda step: learning_rate_factor(step, steps, settings.warmup)
        )

    def step(self, loss: Tensor) -> None:
        """One gradient descent step on `loss`."""
        self.step_on_sum([loss])

    def step_on_sum(self, losses: Iterable[Tensor]) -> None:
        """One gradient descent step on a sum, whose parts may be made one after the other.

        Raises:
            NotFinite: of a gradient that is no number.
        """
        self.adam.zero_grad(set_to_none=True)
        for loss in losses:
            loss.backward()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        self.world.average(gradients)
        if not nn.utils.get_total_norm(gradients).isfinite():
            raise NotFinite
        if self.settings.normalise_gradients:
            normalise(gradients)
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.adam.step()
        self.schedule.step()

    def state_dict(self) -> dict:
        return {"adam": self.adam.state_dict(), "schedule": self.schedule.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.adam.load_state_dict(state["adam"])
        self.schedule.load_state_dict(state["schedule"])

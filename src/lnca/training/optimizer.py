"""Optimizer, learning-rate schedule, and normalisation and clipping of gradients (paper 4.2)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .muon import Muon, MuonSettings
from .world import ALONE, World


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Adam with a learning rate that falls to 0.

    Args:
        learning_rate: highest learning rate.
        warmup: share of the steps in which the learning rate rises linearly (0: it starts at its highest value, as in
            the paper).
        decay: share of the steps, at the end, in which it falls linearly to 0 after being constant; None: it falls
            along a cosine right after the warm-up.
        betas: weights of the old means of gradients and of their squares in the new ones.
        weight_decay: decoupled (AdamW); 0 is plain Adam.
        normalise_gradients: divide every gradient tensor by its own L2 norm, as the authors do.
        clip_norm: limit of the L2 norm of all gradients together; None does not clip.
    """

    learning_rate: float = 1e-2
    warmup: float = 0.0
    decay: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    normalise_gradients: bool = True
    clip_norm: float | None = None


def learning_rate_factor(step: int, steps: int, warmup: float, decay: float | None = None) -> float:
    """The learning rate of optimizer step 0, 1, ..., `steps` - 1, divided by the highest one; for `warmup` and `decay`
    see `OptimizerSettings`."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    if decay is not None:
        fall = decay * steps
        return min(1.0, (steps - step) / fall) if fall else 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(steps - rise, 1)))


def normalise(gradients: Iterable[Tensor]) -> None:
    """Divides each gradient by its own L2 norm (+ 1e-8), in place."""
    for gradient in gradients:
        gradient.div_(gradient.norm() + 1e-8)


class NotFinite(Exception):
    """A gradient is infinite or not a number; the parameters are unchanged."""


class Optimizer:
    """Adam with `OptimizerSettings`, for `steps` optimizer steps; gradients are means over a world.

    Args:
        parameters: the parameters that Adam updates.
        matrices: the parameters that Muon updates, with the settings `muon` and Adam's schedule.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        settings: OptimizerSettings,
        steps: int,
        world: World = ALONE,
        matrices: Iterable[nn.Parameter] = (),
        muon: MuonSettings | None = None,
    ):
        by_adam, by_muon = list(parameters), list(matrices)
        self.parameters, self.world = by_adam + by_muon, world
        self.settings = settings
        self.adam = torch.optim.AdamW(
            by_adam, lr=settings.learning_rate, betas=settings.betas, eps=1e-7, weight_decay=settings.weight_decay
        )
        self.optimizers: list[torch.optim.Optimizer] = [
            self.adam,
            *([Muon(by_muon, muon or MuonSettings())] if by_muon else []),
        ]

        def factor(step: int) -> float:
            return learning_rate_factor(step, steps, settings.warmup, settings.decay)

        self.schedules = [torch.optim.lr_scheduler.LambdaLR(each, factor) for each in self.optimizers]

    def step(self, loss: Tensor) -> None:
        """Takes one gradient step on `loss`."""
        self.step_on_sum([loss])

    def step_on_sum(self, losses: Iterable[Tensor]) -> None:
        """Takes one gradient step on a sum of losses, which may be computed one after the other.

        Raises:
            NotFinite: a gradient is infinite or not a number.
        """
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
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
        for optimizer in self.optimizers:
            optimizer.step()
        for schedule in self.schedules:
            schedule.step()

    def state_dict(self) -> dict:
        return {name: [each.state_dict() for each in parts] for name, parts in self._parts()}

    def load_state_dict(self, state: dict) -> None:
        for name, parts in self._parts():
            for each, saved in zip(parts, state[name], strict=True):
                each.load_state_dict(saved)

    def _parts(self) -> list[tuple[str, list]]:
        return [("optimizers", self.optimizers), ("schedules", self.schedules)]

"""Trains latent automata with a path at full resolution: one phase, all parts together, for any number of steps."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..nn.latent import LatentAutomaton
from . import losses
from .batch import Batch, Exploded, dissimilarity, shared
from .optimizer import Optimizer
from .recipe import Recipe, ResidualPhase
from .unroll import Step, checked, compiled, unroll
from .world import ALONE, World

OVERFLOW = 3


class ResidualTrainer:
    """Takes one gradient step a batch."""

    def __init__(
        self, model: LatentAutomaton, recipe: Recipe, phase: ResidualPhase, batches: int, world: World = ALONE
    ):
        self.model, self.recipe, self.phase, self.world = model, recipe, phase, world
        for name, parameter in model.named_parameters():
            if name.startswith(phase.fixed):
                parameter.requires_grad_(False)
        self.optimizer = Optimizer(model.parameters(), phase.optimizer, batches, world)
        self.backward = checked(recipe.backward, recipe.compile)
        automaton, coder = model.automaton, model.autoencoder
        # Convolutions are a quarter faster in this layout.
        coder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.step: Step = compiled(automaton.change, self.backward) if recipe.compile else automaton.change

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Takes the gradient step; returns the unweighted losses, without those of weight 0."""
        self.model.train()
        phase = self.phase
        batch = batch.of(self.world.part(len(batch.anchor)))

        def draw(low: int, high: int) -> int:
            return int(torch.randint(low, high + 1, (), generator=generator, device=generator.device))

        settles = torch.rand((), generator=generator, device=generator.device).item() < phase.settled
        before = draw(0, phase.longest) if settles else 0
        steps, seed = draw(phase.fewest_steps, phase.most_steps), draw(0, 2**31 - 1)
        values: dict[str, float] = {}

        def parts() -> Iterator[Tensor]:
            for part in batch.parts(self.recipe.micro_batches):
                terms = self._losses(part, before, steps, seed)
                total = torch.stack([getattr(phase, name) * value for name, value in terms.items()]).sum()
                share = len(part.anchor) / len(batch.anchor)
                found = shared({"loss": total, **terms}, self.world)
                if not found["loss"] < self.recipe.exploded:
                    raise Exploded(f"the loss became {found['loss']:g}")
                for name, value in found.items():
                    values[name] = values.get(name, 0.0) + share * value
                yield share * total

        self.optimizer.step_on_sum(parts())
        return values

    def _losses(self, batch: Batch, before: int, steps: int, seed: int) -> dict[str, Tensor]:
        """The losses after `steps` steps, from cells that ran `before` steps without a gradient."""
        model, phase = self.model, self.phase
        with self._autocast(batch.positive):
            latent, skip = model.autoencoder.encode(batch.positive.contiguous(memory_format=torch.channels_last))
        cells = model.automaton.seed(latent.float())
        if before:
            with torch.no_grad():
                state = self._run(cells, before, 0)[..., model.automaton.input_channels :]
            cells = torch.cat([latent.float(), state], -1)
        cells = self._run(cells, steps, seed)
        output = model.automaton.read(cells)
        state = cells[..., model.automaton.input_channels :]
        terms = {"overflow": losses.overflow(state, -OVERFLOW, OVERFLOW)}
        if before and phase.rest:
            terms["rest"] = (self._run(cells, 1, seed) - cells).abs().mean()
        coder = model.autoencoder
        with self._autocast(cells):
            restored = coder.decode(output, skip)
        restored = restored.float()
        terms["l1"] = losses.balanced_error(batch.anchor, restored, phase.balance)
        if phase.ssim:
            terms["ssim"] = dissimilarity(restored, batch.anchor)
        return terms

    def _run(self, cells: Tensor, steps: int, seed: int) -> Tensor:
        automaton = self.model.automaton
        with self._autocast(cells):
            masks = [automaton.mask(seed, step, cells) for step in range(steps)]
            return unroll(self.step, cells, masks, self.backward, automaton.input_channels).to(cells.dtype)

    def _autocast(self, x: Tensor) -> torch.autocast:
        return torch.autocast(x.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    @torch.no_grad()
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """Restores with the whole model and its number of steps."""
        return self.model.eval()(positive)

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])

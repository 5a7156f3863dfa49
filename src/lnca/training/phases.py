"""The two phases of the paper's section 3.2, as what is done with one batch, and how each is validated.

`AutoencoderTrainer` is phase 1, `AutomatonTrainer` phase 2 (autoencoder frozen) and, with `joint`, the optional third.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import metrics
from ..errors import LncaError
from ..nn.latent import LatentAutomaton
from . import losses
from .optimizer import Optimizer
from .pool import Entries, ReplayPool
from .recipe import AutoencoderPhase, AutomatonPhase, Recipe


@dataclass
class Batch:
    """Clean tiles (`anchor`), their corrupted versions (`positive`), and the tiles' numbers (`sample`)."""

    anchor: Tensor
    positive: Tensor
    sample: Tensor


class Exploded(Exception):
    """A loss that is not a number or too large; the message names the sample that caused it."""


def derangement(count: int, generator: torch.Generator) -> Tensor:
    """A random permutation of 0 ... count - 1 that leaves nothing in its place.

    A random cyclic order sends each element to the next one, so one draw is enough for any count >= 2.

    Raises:
        LncaError: a batch of 1 has none.
    """
    if count < 2:
        raise LncaError("a batch of 1 has no negative samples; use a batch size of at least 2")
    order = torch.randperm(count, generator=generator, device=generator.device)
    result = torch.empty_like(order)
    result[order] = order.roll(-1)
    return result


def dissimilarity(image: Tensor, reference: Tensor) -> Tensor:
    """1 - SSIM, mean over pictures."""
    return 1 - metrics.ssim(image.float(), reference).mean()


class AutoencoderTrainer:
    """Phase 1: the automaton is by-passed; two gradient steps a batch."""

    def __init__(self, model: LatentAutomaton, recipe: Recipe, phase: AutoencoderPhase, batches: int):
        self.model, self.phase, self.recipe = model, phase, recipe
        self.optimizer = Optimizer(model.autoencoder.parameters(), phase.optimizer, 2 * batches)

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Both gradient steps; returns the unweighted losses."""
        self.model.train()
        negative = batch.anchor[derangement(len(batch.anchor), generator).to(batch.anchor.device)]
        first = self.first_step(batch, negative)
        second = self.second_step(batch, generator)
        return {"loss": first.pop("total") + second.pop("total"), **first, **second}

    def first_step(self, batch: Batch, negative: Tensor) -> dict[str, float]:
        """Equations (3), (4) and (5) on anchors, positives and negatives."""
        phase, autoencoder = self.phase, self.model.autoencoder
        x = torch.cat([batch.anchor, batch.positive, negative])
        latent, skip = autoencoder.encode(x)
        reconstructed = autoencoder.decode(latent, skip)
        latent_A, latent_P, latent_N = latent.chunk(3)
        mask = losses.corrupted_pixels(batch.anchor, batch.positive)
        terms = {
            "reconstruction": losses.reconstruction_autoencoder(x, reconstructed),
            "distance": losses.distance(latent_A, latent_P, latent_N, phase.margin),
            "task": losses.task(batch.positive, reconstructed.chunk(3)[1], mask),
        }
        return self._descend(terms)

    def second_step(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Equation (6): clean and corrupted latents swapped."""
        autoencoder = self.model.autoencoder
        latent, skip = autoencoder.encode(torch.cat([batch.anchor, batch.positive]))
        latent_A, latent_P = latent.chunk(2)
        skip_A, skip_P = skip.chunk(2)
        noise = torch.randn(latent_A.shape, generator=generator, device=latent_A.device)
        smoothed = latent_A + self.phase.perturbation * noise
        swapped = autoencoder.decode(torch.cat([smoothed, latent_P]), torch.cat([skip_P, skip_A]))
        swapped_A, swapped_P = swapped.chunk(2)
        mask = losses.corrupted_pixels(batch.anchor, batch.positive)
        terms = {"equivalence": losses.equivalence(batch.anchor, swapped_A, batch.positive, swapped_P, mask)}
        if self.phase.ssim:
            terms["ssim"] = dissimilarity(swapped_A, batch.anchor)
        return self._descend(terms)

    def _descend(self, terms: dict[str, Tensor]) -> dict[str, float]:
        total = torch.stack([getattr(self.phase, name) * value for name, value in terms.items()]).sum()
        if not total.item() < self.recipe.exploded:
            raise Exploded(f"the autoencoder's loss became {total.item():g}")
        self.optimizer.step(total)
        return {"total": total.item(), **{name: value.item() for name, value in terms.items()}}

    @torch.no_grad()
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """What phase 1 is validated by: D(clean latent, corrupted skip), the ceiling of phase 2."""
        autoencoder = self.model.eval().autoencoder
        return autoencoder.decode(autoencoder.encode(anchor)[0], autoencoder.encode(positive)[1])

    def state_dict(self) -> dict:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


class AutomatonTrainer:
    """Phase 2: the cells learn to clean the latent, from fresh seeds and from the replay pool in turn.

    With `joint` the autoencoder is trained too; its batch norms keep their statistics all the same.
    """

    def __init__(
        self, model: LatentAutomaton, recipe: Recipe, phase: AutomatonPhase, batches: int, *, joint: bool = False
    ):
        self.model, self.recipe, self.phase, self.joint = model, recipe, phase, joint
        trained = model if joint else model.automaton
        self.optimizer = Optimizer(trained.parameters(), phase.optimizer, (2 if phase.pool else 1) * batches)
        self.pool = ReplayPool(phase.pool)
        step = model.automaton.step
        self.step: Callable[[Tensor, Tensor | None], Tensor] = torch.compile(step) if recipe.compile else step

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """One gradient step from fresh seeds, one from states drawn from the pool; returns the unweighted losses."""
        model = self.model
        model.train()
        model.autoencoder.eval()
        batches, _, height, width = batch.anchor.shape
        shape = (batches, height // model.autoencoder.multiple, width // model.autoencoder.multiple)
        seed = model.automaton.seed(batch.anchor.new_zeros((*shape, model.automaton.input_channels)))
        state = seed[..., model.automaton.input_channels :]
        age = torch.zeros_like(batch.sample)
        result, entries = self._descend(Entries(batch.positive, batch.anchor, state, batch.sample, age), generator)
        if self.phase.pool:
            self.pool.push(entries)
            slots, drawn = self.pool.draw(len(batch.anchor), generator)
            later, entries = self._descend(drawn, generator, slots)
            self.pool.put_back(slots, entries)
            result["pool_loss"] = later["loss"]
        return result

    def _descend(
        self, entries: Entries, generator: torch.Generator, slots: Tensor | None = None
    ) -> tuple[dict[str, float], Entries]:
        phase, model = self.phase, self.model
        device = entries.anchor.device
        steps = int(
            torch.randint(phase.fewest_steps, phase.most_steps + 1, (), generator=generator, device=generator.device)
        )
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        with torch.set_grad_enabled(self.joint):
            latent, skip = model.autoencoder.encode(entries.positive)
        with torch.no_grad():
            clean, _ = model.autoencoder.encode(entries.anchor)
        cells = torch.cat([latent, entries.state], -1)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            cells = self._run(cells, steps, seed)
        cells = cells.float()
        output = model.automaton.read(cells)
        restored = model.autoencoder.decode(output, skip)
        low, high = clean.aminmax() if isinstance(phase.output_range, str) else phase.output_range
        scale = clean.var() if phase.standardise_latent else 1.0
        terms = {
            "reconstruction": losses.reconstruction_automaton(entries.anchor, restored),
            "latent": losses.latent(clean, output) / scale,
            "output_overflow": losses.overflow(output, low, high),
            "hidden_overflow": losses.overflow(model.automaton.hidden(cells), -1, 1),
        }
        if phase.l1:
            terms["l1"] = (restored - entries.anchor).abs().mean()
        if phase.ssim:
            terms["ssim"] = dissimilarity(restored, entries.anchor)
        total = torch.stack([getattr(phase, name) * value for name, value in terms.items()]).sum()
        if not total.item() < self.recipe.exploded:
            raise Exploded(self._blame(total.item(), cells, entries, steps, slots))
        self.optimizer.step(total)
        values = {"loss": total.item(), **{name: value.item() for name, value in terms.items()}}
        state = cells[..., model.automaton.input_channels :].detach()
        return values, Entries(entries.positive, entries.anchor, state, entries.sample, entries.age + steps)

    def _run(self, cells: Tensor, steps: int, seed: int) -> Tensor:
        """`Automaton.run` with the step that may be compiled."""
        for step in range(steps):
            cells = self.step(cells, self.model.automaton.mask(seed, step, cells))
        return cells

    def _blame(self, total: float, cells: Tensor, entries: Entries, steps: int, slots: Tensor | None) -> str:
        """Names the sample with the largest cells, and its pool entry."""
        size = cells.detach().abs().flatten(1).amax(1).nan_to_num(torch.inf, posinf=torch.inf)
        worst = int(size.argmax())
        where = "a fresh sample" if slots is None else f"pool entry {int(slots[worst])}"
        return (
            f"the automaton's loss became {total:g}; worst is {where}, training tile {int(entries.sample[worst])} "
            f"after {int(entries.age[worst]) + steps} steps (largest cell value {size[worst].item():g})"
        )

    @torch.no_grad()
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """What phase 2 is validated by: the whole model after its steps (64)."""
        model = self.model.eval()
        latent, skip = model.autoencoder.encode(positive)
        cells = model.automaton.seed(latent)
        with torch.autocast(positive.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            cells = self._run(cells, model.steps, seed=0)
        return model.autoencoder.decode(model.automaton.read(cells.float()), skip)

    def state_dict(self) -> dict:
        return {"optimizer": self.optimizer.state_dict(), "pool": self.pool.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.pool.load_state_dict(state["pool"])

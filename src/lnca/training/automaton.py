"""Phase 2 (paper 3.2.2): cells learn to restore, from fresh seeds and from the replay pool in turn."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..nn.automaton import Automaton
from ..nn.latent import LatentAutomaton
from ..nn.model import SteppedModel
from ..nn.pixel import PixelAutomaton
from . import losses
from .batch import Batch, Exploded, dissimilarity, shared, split
from .optimizer import Optimizer
from .pool import Entries, ReplayPool
from .recipe import AutomatonPhase, PixelPhase, Recipe
from .unroll import Step, checked, compiled, unroll
from .world import ALONE, World

Run = Callable[[Tensor], Tensor]


class PoolTrainer(ABC):
    """Two gradient steps a batch: one from fresh seeds, one from states drawn from the pool.

    Args:
        model: the whole model.
        automaton: its automaton.
        trained: the part of the model that is trained.
        recipe, phase: settings of the training and of this phase.
        batches: total number of batches of the phase.
        world: the processes that share each batch.
    """

    def __init__(
        self,
        model: SteppedModel,
        automaton: Automaton,
        trained: torch.nn.Module,
        recipe: Recipe,
        phase: AutomatonPhase | PixelPhase,
        batches: int,
        world: World = ALONE,
    ):
        self.whole, self.automaton, self.recipe, self.world = model, automaton, recipe, world
        self.bounds = phase.fewest_steps, phase.most_steps
        descents = (2 if phase.pool else 1) * batches
        self.optimizer = Optimizer(trained.parameters(), phase.optimizer, descents, world)
        self.pool = ReplayPool(phase.pool, world)
        self.backward = checked(recipe.backward, recipe.compile)
        self.step: Step = compiled(automaton.change, self.backward) if recipe.compile else automaton.change

    @abstractmethod
    def prepare(self) -> None:
        """Puts the model's parts into training or evaluation mode."""

    @abstractmethod
    def lattice(self, image_BCHW: Tensor) -> tuple[int, int]:
        """Rows and columns of the cells of a picture."""

    def about(self, entries: Entries) -> Any:
        """Statistics of the whole batch that the losses of its parts need; `entries` are this process's share of it."""
        return None

    @abstractmethod
    def losses(self, entries: Entries, about: Any, run: Run) -> tuple[dict[str, tuple[float, Tensor]], Tensor]:
        """Encodes the entries and lets the cells `run`; returns each loss with its weight, and the cells."""

    @abstractmethod
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """Restores with the whole model and its number of steps (64)."""

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Takes a gradient step from fresh seeds and one from the pool; returns the unweighted losses of the first."""
        self.prepare()
        shape = (len(batch.anchor), *self.lattice(batch.anchor), self.automaton.input_channels)
        state = self.automaton.seed(batch.anchor.new_zeros(shape))[..., self.automaton.input_channels :]
        age = torch.zeros_like(batch.sample)
        result, entries = self._descend(Entries(batch.positive, batch.anchor, state, batch.sample, age), generator)
        if self.pool.size:
            self.pool.push(entries)
            slots, drawn = self.pool.draw(len(batch.anchor), generator)
            later, entries = self._descend(drawn, generator, slots)
            self.pool.put_back(slots, entries)
            result["pool_loss"] = later["loss"]
        return result

    def _descend(
        self, whole: Entries, generator: torch.Generator, slots: Tensor | None = None
    ) -> tuple[dict[str, float], Entries]:
        """Takes a gradient step on a batch; returns its unweighted losses, and the batch with its new cells."""
        fewest, most = self.bounds
        steps = int(torch.randint(fewest, most + 1, (), generator=generator, device=generator.device))
        seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        own = self.world.part(len(whole.age))
        names = list(vars(whole))
        entries = Entries(**{name: value[own] for name, value in vars(whole).items()})
        about = self.about(entries)
        states: list[Tensor] = []
        values: dict[str, float] = {}

        def parts() -> Iterator[Tensor]:
            for tensors in split(list(vars(entries).values()), self.recipe.micro_batches):
                part = Entries(**dict(zip(names, tensors, strict=True)))
                terms, cells = self.losses(part, about, lambda cells: self._run(cells, steps, seed))
                total = torch.stack([weight * value for weight, value in terms.values()]).sum()
                found = shared({"loss": total, **{name: value for name, (_, value) in terms.items()}}, self.world)
                if not found["loss"] < self.recipe.exploded:
                    here = slots if slots is None else slots[own][sum(map(len, states)) :]
                    raise Exploded(self._blame(found["loss"], cells, part, steps, here))
                share = len(part.age) / len(entries.age)
                for name, value in found.items():
                    values[name] = values.get(name, 0.0) + share * value
                states.append(cells[..., self.automaton.input_channels :].detach())
                yield share * total

        self.optimizer.step_on_sum(parts())
        state = self.world.gathered(torch.cat(states))
        return values, Entries(whole.positive, whole.anchor, state, whole.sample, whole.age + steps)

    def _run(self, cells: Tensor, steps: int, seed: int) -> Tensor:
        """Like `Automaton.run`, with a step that may be compiled, in the recipe's precision; the cells keep their
        type."""
        with torch.autocast(cells.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16"):
            masks = [self.automaton.mask(seed, step, cells) for step in range(steps)]
            return unroll(self.step, cells, masks, self.backward, self.automaton.input_channels).to(cells.dtype)

    def _blame(self, total: float, cells: Tensor, entries: Entries, steps: int, slots: Tensor | None) -> str:
        """Names the sample with the largest cells, and its pool entry."""
        size = cells.detach().abs().flatten(1).amax(1).nan_to_num(torch.inf, posinf=torch.inf)
        worst = int(size.argmax())
        where = "a fresh sample" if slots is None else f"pool entry {int(slots[worst])}"
        mine = (
            f"the automaton's loss became {total:g}; worst is {where}, training tile {int(entries.sample[worst])} "
            f"after {int(entries.age[worst]) + steps} steps (largest cell value {size[worst].item():g})"
        )
        return max(self.world.told((size[worst].item(), mine)))[1]

    def state_dict(self) -> dict:
        return {"optimizer": self.optimizer.state_dict(), "pool": self.pool.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.pool.load_state_dict(state["pool"])


class Clean(NamedTuple):
    """Range of the clean latents of a batch, for equation (9), and the scale of equation (8)."""

    low: Tensor | float
    high: Tensor | float
    scale: Tensor | float


class AutomatonTrainer(PoolTrainer):
    """Phase 2 of the latent models; the autoencoder is frozen.

    With `joint` the autoencoder is trained too, but its batch norms keep their statistics.
    """

    def __init__(
        self,
        model: LatentAutomaton,
        recipe: Recipe,
        phase: AutomatonPhase,
        batches: int,
        world: World = ALONE,
        *,
        joint: bool = False,
    ):
        super().__init__(model, model.automaton, model if joint else model.automaton, recipe, phase, batches, world)
        self.model, self.phase, self.joint = model, phase, joint

    def prepare(self) -> None:
        self.model.train()
        self.model.autoencoder.eval()

    def lattice(self, image_BCHW: Tensor) -> tuple[int, int]:
        multiple = self.model.autoencoder.multiple
        return image_BCHW.shape[2] // multiple, image_BCHW.shape[3] // multiple

    @torch.no_grad()
    def about(self, entries: Entries) -> Clean:
        clean, _ = self.model.autoencoder.encode(entries.anchor)
        phase, world = self.phase, self.world
        low, high = world.extremes(*clean.aminmax()) if isinstance(phase.output_range, str) else phase.output_range
        count = clean.numel() * world.size
        variance = world.mean((clean - world.mean(clean.mean())).square().mean()) * count / (count - 1)
        return Clean(low, high, variance if phase.standardise_latent else 1.0)

    def losses(self, entries: Entries, about: Clean, run: Run) -> tuple[dict[str, tuple[float, Tensor]], Tensor]:
        """Equations (7), (8) and (9), and the additional losses of the recipe."""
        phase, model = self.phase, self.model
        with torch.set_grad_enabled(self.joint):
            latent, skip = model.autoencoder.encode(entries.positive)
        with torch.no_grad():
            clean, _ = model.autoencoder.encode(entries.anchor)
        cells = run(torch.cat([latent, entries.state], -1))
        output = model.automaton.read(cells)
        restored = model.autoencoder.decode(output, skip)
        terms = {
            "reconstruction": (phase.reconstruction, losses.reconstruction_automaton(entries.anchor, restored)),
            "latent": (phase.latent, losses.latent(clean, output) / about.scale),
            "output_overflow": (phase.output_overflow, losses.overflow(output, about.low, about.high)),
            "hidden_overflow": (phase.hidden_overflow, losses.overflow(model.automaton.hidden(cells), -1, 1)),
        }
        if phase.l1:
            terms["l1"] = (phase.l1, (restored - entries.anchor).abs().mean())
        if phase.ssim:
            terms["ssim"] = (phase.ssim, dissimilarity(restored, entries.anchor))
        return terms, cells

    @torch.no_grad()
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        model = self.model.eval()
        latent, skip = model.autoencoder.encode(positive)
        cells = self._run(model.automaton.seed(latent), model.steps, seed=0)
        return model.autoencoder.decode(model.automaton.read(cells), skip)


class PixelTrainer(PoolTrainer):
    """ViTCA in pixel space (Tesfaldet et al., arXiv:2211.01233): L1 and overflow losses."""

    def __init__(self, model: PixelAutomaton, recipe: Recipe, phase: PixelPhase, batches: int, world: World = ALONE):
        super().__init__(model, model.automaton, model, recipe, phase, batches, world)
        self.model, self.phase = model, phase

    def prepare(self) -> None:
        self.model.train()

    def lattice(self, image_BCHW: Tensor) -> tuple[int, int]:
        return image_BCHW.shape[2], image_BCHW.shape[3]

    def losses(self, entries: Entries, about: None, run: Run) -> tuple[dict[str, tuple[float, Tensor]], Tensor]:
        phase, automaton = self.phase, self.automaton
        cells = run(torch.cat([entries.positive.permute(0, 2, 3, 1), entries.state], -1))
        terms = {
            "reconstruction": (phase.reconstruction, (self.model.image(cells) - entries.anchor).abs().mean()),
            "output_overflow": (phase.overflow, losses.overflow(automaton.read(cells), 0, 1)),
            "hidden_overflow": (phase.overflow, losses.overflow(automaton.hidden(cells), -1, 1)),
        }
        return terms, cells

    @torch.no_grad()
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        cells = self.automaton.seed(positive.permute(0, 2, 3, 1))
        return self.model.eval().image(self._run(cells, self.model.steps, seed=0)).clamp(0, 1)

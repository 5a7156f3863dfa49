"""Phase 1 (paper 3.2.1): the autoencoder learns a latent for the automaton."""

import torch
from torch import Tensor, nn

from ..nn.latent import LatentAutomaton
from . import losses
from .batch import Batch, Exploded, derangement, dissimilarity, shared
from .batch_norm import synchronise
from .optimizer import Optimizer
from .recipe import AutoencoderPhase, Recipe
from .world import ALONE, World


class AutoencoderTrainer:
    """Phase 1: bypasses the automaton; takes two gradient steps a batch."""

    def __init__(
        self, model: LatentAutomaton, recipe: Recipe, phase: AutoencoderPhase, batches: int, world: World = ALONE
    ):
        self.model, self.phase, self.recipe, self.world = model, phase, recipe, world
        synchronise(model, world)
        self.optimizer = Optimizer(model.autoencoder.parameters(), phase.optimizer, 2 * batches, world)

    def train_batch(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Both gradient steps; returns the unweighted losses."""
        self.model.train()
        if self.phase.batch_norm == "frozen":
            for layer in self.model.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        part = self.world.part(len(batch.anchor))
        negative = batch.anchor[derangement(len(batch.anchor), generator).to(batch.anchor.device)][part]
        first = self.first_step(batch.of(part), negative)
        second = self.second_step(batch.of(part), generator)
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
            "distance": losses.distance(latent_A, latent_P, latent_N, phase.margin, self.world.mean),
            "task": losses.task(batch.positive, reconstructed.chunk(3)[1], mask),
        }
        return self._descend(terms)

    def second_step(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Equation (6): swaps clean and corrupted latents."""
        autoencoder = self.model.autoencoder
        latent, skip = autoencoder.encode(torch.cat([batch.anchor, batch.positive]))
        latent_A, latent_P = latent.chunk(2)
        skip_A, skip_P = skip.chunk(2)
        whole = (self.world.size * len(latent_A), *latent_A.shape[1:])
        noise = torch.randn(whole, generator=generator, device=latent_A.device)[self.world.part(whole[0])]
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
        values = shared({"total": total, **terms}, self.world)
        if not values["total"] < self.recipe.exploded:
            raise Exploded(f"the autoencoder's loss became {values['total']:g}")
        self.optimizer.step(total)
        return values

    @torch.no_grad()
    def restore(self, anchor: Tensor, positive: Tensor) -> Tensor:
        """The pictures that validate phase 1: D(clean latent, corrupted skip), the ceiling of phase 2."""
        autoencoder = self.model.eval().autoencoder
        return autoencoder.decode(autoencoder.encode(anchor)[0], autoencoder.encode(positive)[1])

    def state_dict(self) -> dict:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        self.optimizer.load_state_dict(state["optimizer"])

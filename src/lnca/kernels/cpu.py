"""Modules of `lnca.nn` as `lnca.runtime` runs them: their weights as they are now, and fused steps on tensors."""

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

import numpy as np
from torch import Tensor, nn

from ..nn.autoencoder import Autoencoder, Coder
from ..nn.automaton import Automaton
from ..nn.latent import LatentAutomaton
from ..nn.nafca import NAFCA
from ..nn.residual import ResidualCoder
from ..nn.vitca import ViTCA
from ..runtime.autoencoder import BandAutoencoder
from ..runtime.automaton import NativeRun
from ..runtime.coders import BandCoder
from ..runtime.engine import Engine
from ..runtime.models import Latent
from ..runtime.native import NoKernelError, Precision
from ..runtime.residual import BandResidualCoder
from ..runtime.rules import Rule, nafca, vitca
from ..runtime.settling import Settling
from ..runtime.weights import Weights


def weights_of(module: nn.Module) -> Weights:
    """A module's tensors as they are now."""
    return Weights({name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()})


def versions(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """Changes when a tensor does, so that what was folded from them can be folded anew."""
    return [(x.data_ptr(), x._version) for x in tensors]


def rule_of(rule: Automaton) -> Rule:
    """A rule as it is run without torch.

    Raises:
        LncaError: it is neither NAFCA nor ViTCA.
    """
    channels = (rule.input_channels, rule.output_channels, rule.hidden_channels)
    if type(rule) is NAFCA:
        expansion = rule.update_embed.out_features // rule.channels
        embed = rule.perception_embed.out_features
        return nafca(weights_of(rule), channels, rule.update_rate, embed=embed, expansion=expansion)
    if type(rule) is ViTCA:
        return vitca(
            weights_of(rule),
            channels,
            rule.update_rate,
            embed=rule.embed.out_features,
            heads=rule.heads,
            mlp=rule.mlp_in.out_features,
            has_position_code=rule.position != "none",
        )
    raise NoKernelError(f"there is no fused kernel for this {type(rule).__name__}; use the plain rule")


@singledispatch
def coder_of(coder: Coder, engine: Engine) -> BandCoder:
    """A coder in evaluation mode as it is run without torch; a further kind registers its own.

    Raises:
        LncaError: there is nothing that runs this kind of coder, or no room for its channels.
    """
    raise NoKernelError(f"there is no fused kernel for a {type(coder).__name__}")


@coder_of.register
def _(coder: Autoencoder, engine: Engine) -> BandAutoencoder:
    return BandAutoencoder(weights_of(coder), 2 * coder.width, len(coder.down) + 1, engine)


@coder_of.register
def _(coder: ResidualCoder, engine: Engine) -> BandResidualCoder:
    gather: Any = coder.gather
    scatter: Any = coder.scatter
    return BandResidualCoder(
        weights_of(coder),
        engine,
        width=coder.width,
        shrink=coder.shrink,
        latent=gather[2].out_channels,
        output=scatter[0].in_channels,
        mixing=gather[0].out_channels,
    )


def latent_of(model: LatentAutomaton, engine: Engine) -> Latent:
    """A latent automaton as it is run without torch, with its weights as they are now; raises as `coder_of`."""
    rule = rule_of(model.automaton)
    return Latent(coder_of(model.autoencoder, engine), rule, engine.steps(rule), model.steps)


class FusedRun:
    """`Automaton.run` in one call, for tensors.

    Args:
        rule: a NAFCA or ViTCA; its weights are copied, and copied anew when they have changed.
        precision: of the matrix products; state and sums are float32 in any case.
        level: one of `INSTRUCTION_SETS`; the best when None.

    Raises:
        LncaError: the library was not built, the processor lacks the instructions, or the rule has no kernel.
    """

    def __init__(self, rule: Automaton, precision: Precision = "float32", level: str | None = None):
        self.rule, self.precision, self.level = rule, precision, level
        self._fold()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy folds its own rule's weights, when it is first used."""
        return _unfolded, (self.rule, self.precision, self.level)

    def _fold(self) -> None:
        """Copies the rule's weights as they are now."""
        self._versions = versions(self.rule.parameters())
        self.run = NativeRun(rule_of(self.rule), self.precision, self.level)
        self.level = self.run.level

    def __call__(
        self, cells_BHWC: Tensor, steps: int, seed: int = 0, first: int = 0, corner: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """The cells after `steps` steps; float32, contiguous, on the CPU. For the rest see `advance`."""
        cells = cells_BHWC.detach().float().contiguous().clone()
        self.advance(cells, steps, seed, first, corner)
        return cells

    def advance(
        self,
        cells: Tensor | np.ndarray,
        steps: int,
        seed: int = 0,
        first: int = 0,
        corner: tuple[int, int] = (0, 0),
        settling: Settling | None = None,
    ) -> None:
        """Runs steps in place; see `lnca.runtime.automaton.Run`.

        Args:
            cells: (B, H, W, C), float32, contiguous, on the CPU.
        """
        if versions(self.rule.parameters()) != self._versions:
            self._fold()
        values = cells.numpy() if isinstance(cells, Tensor) else cells
        self.run.advance(values, steps, seed, first, corner, settling)


def _unfolded(rule: Automaton, precision: Precision, level: str) -> FusedRun:
    run = FusedRun.__new__(FusedRun)
    run.rule, run.precision, run.level, run._versions = rule, precision, level, []
    return run

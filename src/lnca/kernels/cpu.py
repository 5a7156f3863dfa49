"""Runs modules of `lnca.nn` with `lnca.runtime`: their current weights, and fused steps on tensors."""

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
    """The current tensors of a module."""
    return Weights({name: tensor.detach().cpu().numpy() for name, tensor in module.state_dict().items()})


def versions(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """A value that changes when a tensor changes, so that weights can be folded again."""
    return [(x.data_ptr(), x._version) for x in tensors]


def rule_of(rule: Automaton) -> Rule:
    """The rule for `lnca.runtime`, without torch.

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
    """The coder for `lnca.runtime`, in evaluation mode; other kinds of coders register their own.

    Raises:
        LncaError: the runtime does not support this kind of coder, or its number of channels.
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
    """The latent automaton for `lnca.runtime`, with its current weights; raises like `coder_of`."""
    rule = rule_of(model.automaton)
    return Latent(coder_of(model.autoencoder, engine), rule, engine.steps(rule), model.steps)


class FusedRun:
    """`Automaton.run` in one call of the compiled kernels, for tensors.

    Args:
        rule: a NAFCA or ViTCA; its weights are copied, and copied again after changes.
        precision: precision of the matrix products; state and sums are always float32.
        level: one of `INSTRUCTION_SETS`; the best one if None.

    Raises:
        LncaError: the library was not built, the CPU lacks the instructions, or the rule has no kernel.
    """

    def __init__(self, rule: Automaton, precision: Precision = "float32", level: str | None = None):
        self.rule, self.precision, self.level = rule, precision, level
        self._fold()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy folds the weights of its own rule at its first use."""
        return _unfolded, (self.rule, self.precision, self.level)

    def _fold(self) -> None:
        """Copies the current weights of the rule."""
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

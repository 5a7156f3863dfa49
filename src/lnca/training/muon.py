"""Muon: orthogonalised momentum, for weights that are matrices (Jordan et al., "Muon: An optimizer for hidden layers
in neural networks", 2024).

A step moves a matrix equally far in all directions, even if the gradient is small in some of them. The nearest
orthogonal matrix would need a singular value decomposition. Five Newton-Schulz steps with the authors' coefficients
bring singular values close enough to 1 (0.7 to 1.2) and only cost a few matrix products.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Coefficients of x -> a x + b x^3 + c x^5: as steep as possible at 0, while values near 1 stay near 1.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


@dataclass(frozen=True)
class MuonSettings:
    """Settings of `Muon`.

    Args:
        learning_rate: highest learning rate.
        momentum: weight of the old mean of gradients in the new one.
        weight_decay: decoupled, as in AdamW.
    """

    learning_rate: float = 5e-3
    momentum: float = 0.95
    weight_decay: float = 0.03


def orthogonalised(matrices: Tensor, iterations: int = ITERATIONS) -> Tensor:
    """Matrices (..., rows, columns) with the same singular vectors and singular values near 1: those above 0.002 of
    the matrix's norm end between 0.68 and 1.21, smaller ones between 0 and that."""
    a, b, c = COEFFICIENTS
    wide = matrices.mT if matrices.shape[-2] > matrices.shape[-1] else matrices
    wide = wide / (wide.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        square = wide @ wide.mT
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide.mT if matrices.shape[-2] > matrices.shape[-1] else wide


class Muon(torch.optim.Optimizer):
    """The optimizer, for matrices and for convolutions, which are matrices of output channels x kernel elements.

    Args:
        parameters: tensors with two dimensions or more.
        settings: see `MuonSettings`.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], settings: MuonSettings):
        defaults = {"momentum": settings.momentum, "weight_decay": settings.weight_decay}
        super().__init__(parameters, {"lr": settings.learning_rate, **defaults})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Takes one step with the gradients of the parameters; parameters without a gradient stay."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group["lr"], group["momentum"], group["weight_decay"])

    def _move(self, parameter: nn.Parameter, gradient: Tensor, rate: float, momentum: float, decay: float) -> None:
        state = self.state[parameter]
        if "mean" not in state:
            state["mean"] = torch.zeros_like(parameter)
        mean = state["mean"].lerp_(gradient, 1 - momentum)
        # Nesterov momentum.
        ahead = gradient.lerp(mean, momentum).flatten(1)
        # The rows of a tall orthogonal matrix are shorter than 1; the factor makes it move as far as a square one.
        size = max(1.0, ahead.shape[0] / ahead.shape[1]) ** 0.5
        parameter.mul_(1 - rate * decay)
        parameter.add_(orthogonalised(ahead).view(parameter.shape), alpha=-rate * size)

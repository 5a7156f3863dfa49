"""Back-propagation through many steps in little memory: a trade of memory for time (Chen et al., "Training Deep Nets
with Sublinear Memory Cost", arXiv:1604.06174)."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..errors import LncaError
from .recipe import Backward

Step = Callable[[Tensor, Tensor | None], Tensor]


def compiled(step: Step, backward: Backward) -> Step:
    """The step compiled; with "budget" it recomputes in its backward pass all that it can."""
    if backward == "budget":
        import torch._functorch.config as config

        config.activation_memory_budget = 0.0
    return torch.compile(step)


def checked(backward: Backward, compile: bool) -> Backward:
    """Raises `LncaError` for a setting that asks for a compiler where none is used."""
    if backward == "budget" and not compile:
        raise LncaError('backward "budget" works for compiled steps only; set compile: true as well')
    return backward


def unroll(step: Step, cells: Tensor, masks: Sequence[Tensor | None], backward: Backward) -> Tensor:
    """The cells after one step for each mask; the gradient is the same whatever `backward` is.

    Args:
        step: cells (B, H, W, C) and a mask -> cells.
        backward: see `Recipe`.
    """
    if not torch.is_grad_enabled() or backward in ("keep", "budget"):
        return _steps(step, masks, cells)
    again: Step = partial(checkpoint, step, use_reentrant=False)
    if backward == "recompute":
        return _steps(again, masks, cells)
    length = math.isqrt(max(len(masks) - 1, 0)) + 1
    for first in range(0, len(masks), length):
        cells = checkpoint(partial(_steps, again, masks[first : first + length]), cells, use_reentrant=False)
    return cells


def _steps(step: Step, masks: Sequence[Tensor | None], cells: Tensor) -> Tensor:
    for mask in masks:
        cells = step(cells, mask)
    return cells

"""Back-propagation through many steps in little memory, which takes more time (Chen et al., "Training Deep Nets
with Sublinear Memory Cost", arXiv:1604.06174)."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ..errors import LncaError
from .recipe import Backward

# Input channels, other channels and a mask -> other channels, like `Automaton.change`.
Step = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def compiled(step: Step, backward: Backward) -> Step:
    """The compiled step; with "budget" its backward pass recomputes as much as possible."""
    if backward == "budget":
        import torch._functorch.config as config

        config.activation_memory_budget = 0.0
    return torch.compile(step)


def checked(backward: Backward, compile: bool) -> Backward:
    """Raises `LncaError` for a setting that needs compiled steps without `compile`."""
    if backward == "budget" and not compile:
        raise LncaError('backward "budget" works for compiled steps only; set compile: true as well')
    return backward


def unroll(
    step: Step, cells_BHWC: Tensor, masks: Sequence[Tensor | None], backward: Backward, input_channels: int
) -> Tensor:
    """The cells after one step for each mask; the gradient is the same for each `backward`.

    The input channels, which no step changes, are kept once.

    Args:
        step: `Automaton.change`, compiled or not.
        backward: see `Recipe`.
        input_channels: number of the cells' input channels.
    """
    image, state = (x.contiguous() for x in cells_BHWC.tensor_split([input_channels], -1))
    if not torch.is_grad_enabled() or backward in ("keep", "budget"):
        return torch.cat([image, _steps(step, masks, image, state)], -1)
    again: Step = partial(checkpoint, step, use_reentrant=False)
    if backward == "recompute":
        return torch.cat([image, _steps(again, masks, image, state)], -1)
    length = math.isqrt(max(len(masks) - 1, 0)) + 1
    for first in range(0, len(masks), length):
        segment = partial(_steps, again, masks[first : first + length])
        state = checkpoint(segment, image, state, use_reentrant=False)
    return torch.cat([image, state], -1)


def _steps(step: Step, masks: Sequence[Tensor | None], image: Tensor, state: Tensor) -> Tensor:
    for mask in masks:
        state = step(image, state, mask)
    return state

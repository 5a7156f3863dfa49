"""The neural cellular automaton (paper 2.1 and 3.1.2): seed, mask, step, run, read. A rule only adds `update`.

Cells are channels-last, (B, H, W, C), and C is split in [input | output | hidden]. The input channels never change; a
step adds the rule's update to the other two.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from ..randomness import uniform_grid


class Runner(Protocol):
    """A faster implementation of `Automaton.run`."""

    def __call__(self, cells_BHWC: Tensor, steps: int, seed: int = 0, first: int = 0) -> Tensor | None:
        """The cells after steps `first`, `first` + 1, ... (only update masks depend on these numbers); None if it does
        not support such cells."""


class Automaton(nn.Module):
    """A lattice of cells that all apply one learned local rule.

    Args:
        input_channels: channels that hold the (latent) image and never change.
        output_channels: channels that are read after the last step; they start at 0.5.
        hidden_channels: the cells' memory; it starts at 0.
        update_rate: probability in (0, 1] that a cell is updated in a step.

    Attributes:
        runner: a faster implementation, set by `lnca.kernels`; used if no gradient is needed.
    """

    def __init__(self, input_channels: int, output_channels: int, hidden_channels: int, update_rate: float = 1.0):
        super().__init__()
        self.input_channels = input_channels
        self.output_channels = output_channels
        self.hidden_channels = hidden_channels
        self.update_rate = update_rate
        self.runner: Runner | None = None

    @property
    def channels(self) -> int:
        """Channels of a cell: input, output and hidden together."""
        return self.input_channels + self.output_channels + self.hidden_channels

    @property
    def updated_channels(self) -> int:
        """Number of channels that a step changes: output and hidden."""
        return self.output_channels + self.hidden_channels

    @abstractmethod
    def update(self, cells_BHWC: Tensor) -> Tensor:
        """The transition function of equation (1): cells (B, H, W, C) -> increment (B, H, W, output + hidden)."""

    def seed(self, image_BHWI: Tensor) -> Tensor:
        """Cells before the first step: the (latent) image (B, H, W, input), output 0.5, hidden 0."""
        shape = image_BHWI.shape[:-1]
        output = image_BHWI.new_full((*shape, self.output_channels), 0.5)
        return torch.cat([image_BHWI, output, image_BHWI.new_zeros((*shape, self.hidden_channels))], -1)

    def mask(self, seed: int, step: int, cells_BHWC: Tensor, top: int = 0) -> Tensor | None:
        """The cells that a step updates, (H, W, 1): each with probability `update_rate`. None means all cells. The
        first row of cells is row `top` of their lattice.

        It depends only on seed, step, row and column. So a run can be repeated, and does not change with the batch
        or the tiles of an image.
        """
        if self.update_rate == 1:
            return None
        draws = uniform_grid(seed, step, *cells_BHWC.shape[1:3], device=cells_BHWC.device, top=top)
        return (draws < self.update_rate)[..., None]

    def step(self, cells_BHWC: Tensor, mask_HW1: Tensor | None = None) -> Tensor:
        """One step: applies the rule to the cells in the mask."""
        image, state = cells_BHWC[..., : self.input_channels], cells_BHWC[..., self.input_channels :]
        return torch.cat([image, state + self._increment(cells_BHWC, mask_HW1)], -1)

    def change(self, image_BHWI: Tensor, state_BHWS: Tensor, mask_HW1: Tensor | None = None) -> Tensor:
        """Like `step`, for input channels and other channels apart; returns the others, (B, H, W, output + hidden)."""
        return state_BHWS + self._increment(torch.cat([image_BHWI, state_BHWS], -1), mask_HW1)

    def _increment(self, cells_BHWC: Tensor, mask_HW1: Tensor | None) -> Tensor:
        delta = self.update(cells_BHWC).to(cells_BHWC.dtype)
        return delta if mask_HW1 is None else delta * mask_HW1

    def frames(self, cells_BHWC: Tensor, steps: int, seed: int = 0) -> Iterator[Tensor]:
        """Yields the cells after 0, 1, ..., `steps` steps; `seed` seeds the update masks."""
        yield cells_BHWC
        for step in range(steps):
            cells_BHWC = self._advance(cells_BHWC, 1, seed, step)
            yield cells_BHWC

    def run(self, cells_BHWC: Tensor, steps: int, seed: int = 0) -> Tensor:
        """The cells after `steps` steps."""
        return self._advance(cells_BHWC, steps, seed, 0)

    def _advance(self, cells_BHWC: Tensor, steps: int, seed: int, first: int) -> Tensor:
        if self.runner is not None and not torch.is_grad_enabled():
            result = self.runner(cells_BHWC, steps, seed, first)
            if result is not None:
                return result
        for step in range(first, first + steps):
            cells_BHWC = self.step(cells_BHWC, self.mask(seed, step, cells_BHWC))
        return cells_BHWC

    def read(self, cells_BHWC: Tensor) -> Tensor:
        """The output channels, (B, H, W, output)."""
        return cells_BHWC[..., self.input_channels : self.input_channels + self.output_channels]

    def hidden(self, cells_BHWC: Tensor) -> Tensor:
        """The hidden channels, (B, H, W, hidden)."""
        return cells_BHWC[..., self.input_channels + self.output_channels :]


def initialise(module: nn.Module) -> None:
    """Initialises like Keras, which the authors used: uniform Glorot weights, zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

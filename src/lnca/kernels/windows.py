"""Runs encoder, decoder and steps of a model in bands of rows, with its own torch modules, on any device.

A band is computed together with the context that it depends on. `lnca.runtime` does the same on CPUs, exact to the bit.
Torch's convolutions round differently for other heights, so here a band equals the whole picture except for rounding.
"""

import numpy as np
import torch
from torch import Tensor

from ..errors import LncaError
from ..nn.autoencoder import Coder
from ..nn.automaton import Automaton
from ..runtime.arrays import RowReader
from ..runtime.coders import BandCoder
from ..runtime.native import Precision
from ..runtime.settling import UNSUPPORTED, Settling

# A band of columns may begin at multiples of this number of cells.
ALIGNED = 8


class WindowedCoder(BandCoder):
    """A coder that uses the weights of its module, on their device.

    Args:
        coder: the module, in evaluation mode.
    """

    def __init__(self, coder: Coder):
        self.coder, self.multiple, self.reach = coder, coder.multiple, coder.reach
        self.border, self.aligned = 2 * coder.reach, ALIGNED
        # Floats a pixel of the tensors that bypass the automaton, before and after each layer.
        self.floats = 9 + 8 * coder.width
        self.halo = self.border * self.multiple * self.floats

    def _on_device(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(x)).to(next(self.coder.parameters()).device)

    def _window(self, image: RowReader, height: int, top: int, bottom: int) -> Tensor:
        return self._on_device(image(top * self.multiple, bottom * self.multiple)).permute(0, 3, 1, 2).contiguous()

    def _around(self, begin: int, end: int, height: int) -> tuple[int, int]:
        return max(begin - self.reach, 0), min(end + self.reach, height // self.multiple)

    @torch.no_grad()
    def encode(self, image: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """See `BandCoder.encode`."""
        top, bottom = self._around(begin, end, height)
        latent = self.coder.encode(self._window(image, height, top, bottom))[0]
        return latent[:, begin - top : end - top].cpu().numpy()

    @torch.no_grad()
    def decode(self, image: RowReader, latent: RowReader, height: int, begin: int, end: int) -> np.ndarray:
        """See `BandCoder.decode`; `begin` and `end` are multiples of `multiple`."""
        first, last = begin // self.multiple, end // self.multiple
        top, bottom = self._around(first, last, height)
        passed = self.coder.encode(self._window(image, height, top, bottom))[1]
        restored = self.coder.decode(self._on_device(latent(top, bottom)), passed)
        above = begin - top * self.multiple
        return restored[..., above : above + end - begin, :].permute(0, 2, 3, 1).cpu().numpy()


class ModuleRun:
    """The steps of an automaton by its own `runner` or plain rule; see `lnca.runtime.automaton.Run`."""

    precision: Precision = "float32"

    def __init__(self, rule: Automaton):
        self.rule = rule

    @torch.no_grad()
    def advance(
        self,
        cells: np.ndarray,
        steps: int,
        seed: int = 0,
        first: int = 0,
        corner: tuple[int, int] = (0, 0),
        settling: Settling | None = None,
    ) -> None:
        """Runs steps in place. A runner does not know the corner, so rules with update masks do not use it."""
        if settling is not None:
            raise LncaError(UNSUPPORTED)
        rule = self.rule
        on_device = torch.from_numpy(cells).to(next(rule.parameters()).device)
        result = None
        if rule.update_rate == 1 and rule.runner is not None:
            result = rule.runner(on_device, steps, seed, first)
        if result is None:
            result = on_device
            for step in range(first, first + steps):
                result = rule.step(result, rule.mask(seed, step, result, corner[0]))
        cells[...] = result.cpu().numpy()

"""Encoder, decoder and steps of a model in bands of rows, by its own torch modules, on any device.

What `lnca.kernels` does to the bit on CPUs: a band is computed with as much of the picture around it as it depends on.
Torch's convolutions round differently for other heights, so that a band's values are the whole picture's but for that.
"""

import torch
from torch import Tensor

from ..kernels.autoencoder import Source
from ..kernels.cpu import Precision
from ..kernels.settling import Settling
from ..nn.autoencoder import Coder
from ..nn.automaton import Automaton


class WindowedCoder:
    """A coder in bands; arguments, attributes and methods as of `FusedAutoencoder`, but that its weights are used as
    they are, on their device."""

    def __init__(self, coder: Coder):
        self.coder, self.multiple = coder, coder.multiple
        self.border = 2 * coder.reach
        # What goes past the automaton, before and after each layer.
        self.floats = 9 + 8 * coder.width
        self.halo = self.border * self.multiple * self.floats

    def _window(self, image: Source, height: int, top: int, bottom: int) -> Tensor:
        device = next(self.coder.parameters()).device
        return image(top * self.multiple, bottom * self.multiple).to(device).permute(0, 3, 1, 2).contiguous()

    def _around(self, begin: int, end: int, height: int) -> tuple[int, int]:
        return max(begin - self.coder.reach, 0), min(end + self.coder.reach, height // self.multiple)

    @torch.no_grad()
    def encode(self, image: Source, height: int, begin: int, end: int) -> Tensor:
        """As `FusedAutoencoder.encode`."""
        top, bottom = self._around(begin, end, height)
        latent = self.coder.encode(self._window(image, height, top, bottom))[0]
        return latent[:, begin - top : end - top]

    @torch.no_grad()
    def decode(self, image: Source, latent: Source, height: int, begin: int, end: int) -> Tensor:
        """As `FusedAutoencoder.decode`; `begin` and `end` are multiples of `multiple`."""
        first, last = begin // self.multiple, end // self.multiple
        top, bottom = self._around(first, last, height)
        passed = self.coder.encode(self._window(image, height, top, bottom))[1]
        restored = self.coder.decode(latent(top, bottom), passed)
        above = begin - top * self.multiple
        return restored[..., above : above + end - begin, :].permute(0, 2, 3, 1).cpu()


class ModuleRun:
    """The steps of an automaton, as its own `runner` or plain rule does them; `advance` as of `FusedRun`."""

    precision: Precision = "float32"

    def __init__(self, rule: Automaton):
        self.rule = rule

    def in_bands(self, coder: Coder) -> WindowedCoder:
        """The coder around these steps."""
        return WindowedCoder(coder)

    @torch.no_grad()
    def advance(
        self, cells: Tensor, steps: int, seed: int = 0, first: int = 0, corner: tuple[int, int] = (0, 0),
        settling: Settling | None = None,
    ) -> None:  # fmt: skip
        """Runs steps in place. A runner knows no corners, which masks depend on."""
        assert settling is None
        rule = self.rule
        if rule.update_rate == 1 and rule.runner is not None:
            result = rule.runner(cells, steps, seed, first)
            if result is not None:
                cells.copy_(result)
                return
        for step in range(first, first + steps):
            cells.copy_(rule.step(cells, rule.mask(seed, step, cells, corner[0])))

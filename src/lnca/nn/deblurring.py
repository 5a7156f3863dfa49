"""A deblurrer as a module. Its cells are a `PyramidAutomaton`, its rounds those of `lnca.runtime.deblurring`.

It is not trained itself; its cells are trained on photographs with noise.

Shape suffixes: B batch, C channels, H rows, W columns, K a kernel's rows and columns, L noise levels, h and w cells of
8x8 pixels.
"""

from collections.abc import Container, Iterator

import numpy as np
import torch
from torch import Tensor

from ..runtime.deblurring import (
    ROUNDS,
    Blur,
    blended_rounds,
    capped_by_spectrum,
    estimated,
    estimation_part,
    filter_level,
)
from .model import SteppedModel
from .pyramid import PyramidAutomaton


class Deblurrer(SteppedModel):
    """Restores a picture with a blur kernel and a noise level; estimates those that are not given.

    Args:
        channels, rules: settings of the cells, see `PyramidAutomaton`.
        steps: rounds at validation and test.
    """

    takes_noise_level = True
    takes_kernel = True

    def __init__(self, channels: tuple[int, int, int] = (64, 80, 96), rules: int = 3, steps: int = ROUNDS):
        super().__init__(steps)
        self.cells = PyramidAutomaton(channels, rules)

    def clean(self, image_BCHW: np.ndarray, level: float, steps: int) -> np.ndarray:
        """A picture that `steps` steps of the cells have denoised at a noise level in 255ths."""
        x = torch.from_numpy(image_BCHW).to(self.cells.decode.weight)
        return self.cells(x, steps, noise_level=x.new_full((1, 2, 1, 1), level)).cpu().float().numpy()

    @torch.no_grad()
    def forward(
        self,
        image_BCHW: Tensor,
        steps: int | None = None,
        seed: int = 0,
        noise_level: Tensor | None = None,
        kernel: Tensor | None = None,
    ) -> Tensor:
        """Image (B, 3, H, W), sides >= 8 -> image of the same shape, in [0, 1]; without a gradient.

        Args:
            image_BCHW: in [0, 1].
            steps: rounds; `self.steps` when None.
            seed: has no effect.
            noise_level: see `PyramidAutomaton.forward`; only its mean brightness level is used.
            kernel: (K, K) or (B, K, K), not negative, with a sum of 1; estimated if None.
        """
        steps = self.steps if steps is None else steps
        for restored in self.frames(image_BCHW, steps, seed, (steps,), noise_level, kernel):
            return restored
        raise AssertionError

    @torch.no_grad()
    def frames(
        self,
        image_BCHW: Tensor,
        steps: int | None = None,
        seed: int = 0,
        only: Container[int] | None = None,
        noise_level: Tensor | None = None,
        kernel: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Yields the image after each round; arguments as in `forward`."""
        batch, steps = len(image_BCHW), self.steps if steps is None else steps
        levels = self.levels(image_BCHW) if noise_level is None else noise_level
        kernels = [None] * batch if kernel is None else list(kernel.expand(batch, -1, -1).cpu().float().numpy())
        pictures = image_BCHW.cpu().float().numpy()
        maps = levels.expand(batch, -1, -1, -1).cpu().float().numpy()
        parts = [
            list(self._frames_of(pictures[number : number + 1], filter_level(maps[number : number + 1]), told, steps))
            for number, told in enumerate(kernels)
        ]
        for step, frames in enumerate(zip(*parts, strict=True)):
            if only is None or step in only:
                yield torch.from_numpy(np.concatenate(frames)).to(image_BCHW).clamp(0, 1)

    def _frames_of(
        self, image_BCHW: np.ndarray, level: float, kernel: np.ndarray | None, steps: int
    ) -> Iterator[np.ndarray]:
        if kernel is not None:
            blur = Blur(kernel, 1.0, level)
        else:
            blur = estimated(estimation_part(image_BCHW), level, self.clean)
        return blended_rounds(image_BCHW, blur, steps, self.clean)

    @torch.no_grad()
    def levels(self, image_BCHW: Tensor) -> Tensor:
        """The estimated noise levels of pictures, (B, 2, H / 8, W / 8)."""
        levels = self.cells.estimator(self.cells.pad(image_BCHW)).cpu().float().numpy()
        pictures = image_BCHW.cpu().float().numpy()
        quiet = [
            capped_by_spectrum(levels[number : number + 1], estimation_part(pictures[number : number + 1]))
            for number in range(len(pictures))
        ]
        return torch.from_numpy(np.concatenate(quiet)).to(image_BCHW)

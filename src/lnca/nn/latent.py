"""The latent neural cellular automaton (paper 3.1, Figure 1): encode, let the cells clean the latent, decode."""

from collections.abc import Container, Iterator

import torch.nn.functional as F
from torch import Tensor

from ..images.limits import SMALLEST_SIDE
from .autoencoder import Coder
from .automaton import Automaton
from .model import SteppedModel


class LatentAutomaton(SteppedModel):
    """LatentNAFCA and LatentViTCA, which differ only in the automaton; also with other coders.

    Args:
        autoencoder: E and D.
        automaton: N; E computes its input channels, D reads its output channels.
        steps: steps at validation and test (64 in the paper).
    """

    def __init__(self, autoencoder: Coder, automaton: Automaton, steps: int = 64):
        super().__init__(steps)
        self.autoencoder = autoencoder
        self.automaton = automaton

    def pad(self, image_BCHW: Tensor) -> Tensor:
        """Mirrors the lower and right border until both sides are multiples of the autoencoder's."""
        height, width = image_BCHW.shape[-2:]
        if min(height, width) < SMALLEST_SIDE:
            raise ValueError(
                f"an image needs at least {SMALLEST_SIDE}x{SMALLEST_SIDE} pixels, got {tuple(image_BCHW.shape)}"
            )
        multiple = self.autoencoder.multiple
        return F.pad(image_BCHW, (0, -width % multiple, 0, -height % multiple), mode="reflect")

    def forward(self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0) -> Tensor:
        """x' = D(N(E(x))): image (B, 3, H, W) in [0, 1], sides >= 8 -> image of the same shape, in [0, 1].

        Args:
            steps: steps of the automaton; `self.steps` if None.
            seed: seeds the update masks of rules with an update rate below 1.

        Raises:
            ValueError: a side is shorter than 8 pixels.
        """
        height, width = image_BCHW.shape[-2:]
        latent, skip = self.autoencoder.encode(self.pad(image_BCHW))
        cells = self.automaton.run(self.automaton.seed(latent), self.steps if steps is None else steps, seed)
        return self.autoencoder.decode(self.automaton.read(cells), skip)[..., :height, :width]

    def bypass(self, image_BCHW: Tensor) -> Tensor:
        """Bypasses the automaton (the switch of Figure 1): x' = D(E(x)), the plain autoencoder. Only for coders whose
        decoder reads as many channels as the encoder computes."""
        height, width = image_BCHW.shape[-2:]
        return self.autoencoder.decode(*self.autoencoder.encode(self.pad(image_BCHW)))[..., :height, :width]

    def frames(
        self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0, only: Container[int] | None = None
    ) -> Iterator[Tensor]:
        height, width = image_BCHW.shape[-2:]
        latent, skip = self.autoencoder.encode(self.pad(image_BCHW))
        fresh = self.automaton.seed(latent)
        states = self.automaton.frames(fresh, self.steps if steps is None else steps, seed)
        for cells in (cells for step, cells in enumerate(states) if only is None or step in only):
            yield self.autoencoder.decode(self.automaton.read(cells), skip)[..., :height, :width]

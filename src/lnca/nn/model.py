"""What every architecture is to the rest of the library."""

from abc import abstractmethod
from collections.abc import Container, Iterator

from torch import Tensor, nn


class RestorationModel(nn.Module):
    """Image in, image of the same size out.

    Attributes:
        takes_noise_level: whether the model is told how much noise there is, as `PyramidAutomaton` is.
        takes_kernel: whether the model can be told the blur kernel, as `Deblurrer` can.
    """

    takes_noise_level = False
    takes_kernel = False

    @abstractmethod
    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [0, 1], of any size >= 8 -> restored image of the same shape."""


class SteppedModel(RestorationModel):
    """A model that restores step by step.

    Args:
        steps: steps at validation and test (64 in the paper).
    """

    def __init__(self, steps: int):
        super().__init__()
        self.steps = steps

    @abstractmethod
    def forward(self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0) -> Tensor:
        """Image (B, 3, H, W) in [0, 1], sides >= 8 -> restored image of the same shape.

        Args:
            steps: steps of the automaton; `self.steps` when None.
            seed: of the update masks, for rules with an update rate below 1.
        """

    @abstractmethod
    def frames(
        self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0, only: Container[int] | None = None
    ) -> Iterator[Tensor]:
        """Yields the image after 0, 1, ..., `steps` steps, or `only` after some of them; otherwise as `forward`."""

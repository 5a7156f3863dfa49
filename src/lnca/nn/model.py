"""The interface of every architecture."""

from abc import abstractmethod
from collections.abc import Container, Iterator

from torch import Tensor, nn


class RestorationModel(nn.Module):
    """A module from an image to an image of the same size.

    Attributes:
        takes_noise_level: whether the model takes a noise level, like `PyramidAutomaton`.
        takes_kernel: whether the model takes a blur kernel, like `Deblurrer`.
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
            steps: steps of the automaton; `self.steps` if None.
            seed: seeds the update masks of rules with an update rate below 1.
        """

    @abstractmethod
    def frames(
        self, image_BCHW: Tensor, steps: int | None = None, seed: int = 0, only: Container[int] | None = None
    ) -> Iterator[Tensor]:
        """Yields the image after 0, 1, ..., `steps` steps, or only after the steps in `only`; see `forward`."""
